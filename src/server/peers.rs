//! Which addresses and ports the server may hear and talk to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};

use crate::wire::TEREDO_PORT;
use crate::wire::scope::{
    inside_6to4, is_global_scope, is_global_unicast, is_local, is_never_unicast,
};

/// Why an IPv4 peer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Port 0.
    Port,
    /// Not global unicast.
    Address,
    /// This host.
    Own,
}

#[derive(Clone, Debug)]
pub(super) struct Peers {
    allow_private: bool,
    /// Sorted.
    own: Vec<IpAddr>,
    /// Sorted.
    broadcasts: Vec<Ipv4Addr>,
}

impl Peers {
    pub(super) fn new(
        allow_private: bool,
        mut own: Vec<IpAddr>,
        mut broadcasts: Vec<Ipv4Addr>,
    ) -> Self {
        own.sort_unstable();
        broadcasts.sort_unstable();
        Self {
            allow_private,
            own,
            broadcasts,
        }
    }

    /// Rule 3 for a source (RFC 4380 sections 5.3.1 and 5.2.4). Of this host's own, only the Teredo port is refused, where servers
    /// are: a relay, or who tests the server, may be on the same host.
    pub(super) fn check_source(&self, peer: SocketAddrV4) -> Result<(), Refusal> {
        self.check(peer)?;
        if peer.port() == TEREDO_PORT && self.is_own((*peer.ip()).into()) {
            return Err(Refusal::Own);
        }
        Ok(())
    }

    /// The check of an embedded mapped address as a destination (RFC 4380 sections 5.3.1 and 5.2.4). This host is refused: its
    /// services may be for itself alone, and packet filters do not look at what it sends itself. A laboratory's clients may be
    /// on it, but for the Teredo port.
    pub(super) fn check_destination(&self, peer: SocketAddrV4) -> Result<(), Refusal> {
        self.check(peer)?;
        if (peer.port() == TEREDO_PORT || !self.allow_private) && self.is_own((*peer.ip()).into()) {
            return Err(Refusal::Own);
        }
        Ok(())
    }

    /// What holds of both.
    fn check(&self, peer: SocketAddrV4) -> Result<(), Refusal> {
        let address = *peer.ip();
        if peer.port() == 0 {
            return Err(Refusal::Port);
        }
        if is_never_unicast(address)
            || (is_local(address) && !self.allow_private)
            || self.broadcasts.binary_search(&address).is_ok()
        {
            return Err(Refusal::Address);
        }
        Ok(())
    }

    /// Says whether a packet may be forwarded from or to an IPv6 address that is no Teredo client's: one of global scope
    /// (RFC 4380 section 5.3.1), or a unique local one (RFC 4193) in a laboratory. A 6to4 address leads to its IPv4 address, so this
    /// one must be global unicast (RFC 3964 section 5.3), and not this host's, where loops begin (RFC 6324 section 2).
    pub(super) fn is_global(&self, address: Ipv6Addr) -> bool {
        if address.is_unique_local() {
            return self.allow_private;
        }
        is_global_scope(address)
            && inside_6to4(address).is_none_or(|inside| {
                is_global_unicast(inside)
                    && self.broadcasts.binary_search(&inside).is_err()
                    && !self.is_own(inside.into())
            })
    }

    /// Says whether a native address is this host's, so that no echo may go there: it would come over the loopback interface, past
    /// the packet filters of all others. A laboratory may have all on one host.
    pub(super) fn is_protected(&self, native: Ipv6Addr) -> bool {
        !self.allow_private && self.is_own(native.into())
    }

    fn is_own(&self, address: IpAddr) -> bool {
        self.own.binary_search(&address).is_ok()
    }
}

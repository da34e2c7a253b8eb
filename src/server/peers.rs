//! Which IPv4 addresses and ports the server may hear and talk to; the same for both directions.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::wire::TEREDO_PORT;
use crate::wire::scope::{is_local, is_never_unicast};

/// Why a peer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Port 0.
    Port,
    /// Not global unicast.
    Address,
    /// This host, on the Teredo port.
    Loop,
}

#[derive(Clone, Debug)]
pub(super) struct Peers {
    allow_private: bool,
    /// Sorted.
    own: Vec<Ipv4Addr>,
    /// Sorted.
    broadcasts: Vec<Ipv4Addr>,
}

impl Peers {
    pub(super) fn new(
        allow_private: bool,
        mut own: Vec<Ipv4Addr>,
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

    /// Rule 3 for a source, and the check of an embedded mapped address as a destination (RFC 4380 sections 5.3.1 and 5.2.4).
    pub(super) fn check(&self, peer: SocketAddrV4) -> Result<(), Refusal> {
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
        if peer.port() == TEREDO_PORT && self.own.binary_search(&address).is_ok() {
            return Err(Refusal::Loop);
        }
        Ok(())
    }
}

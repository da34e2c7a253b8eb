//! A program in the network driver, which answers and drops datagrams before they become packets of this host: XDP of Linux
//! (bpf-helpers(7), Documentation/bpf in the kernel). Whatever it is not sure of it lets pass to the sockets, which lose nothing
//! without it.
//!
//! Whoever loads it needs CAP_BPF and CAP_NET_ADMIN, and only then. It stays attached for as long as somebody holds the link,
//! and it counts into a map that can be read by whoever holds that.

use std::fmt;
use std::net::Ipv4Addr;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::contract::Via;
use crate::error::OsError;

#[path = "../xdp/src/reason.rs"]
mod reason;

pub use reason::Drop;

/// Length in bytes of the advertisement that the program sends: IPv6 header, message, prefix information and MTU options.
pub const ADVERTISEMENT_LEN: usize = 96;

/// What the program of one interface is told, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The primary address, as it is bound.
    pub primary: Ipv4Addr,
    /// The secondary address, as it is bound.
    pub secondary: Option<Ipv4Addr>,
    /// Solicitations with the cone bit may be answered here: both addresses belong to this interface.
    pub cone: bool,
    /// The 32 bits of the Teredo service prefix.
    pub prefix: u32,
    /// Peers may have loopback, private and link-local IPv4 addresses.
    pub allow_private: bool,
    /// IPv4 addresses of this host.
    pub own: Vec<Ipv4Addr>,
    /// Directed broadcast addresses of its networks.
    pub broadcasts: Vec<Ipv4Addr>,
    /// The answer to a solicitation whose source is `::`: an IPv6 packet, its checksum right for that. `None` if the program is
    /// to answer none.
    pub advertisement: Option<[u8; ADVERTISEMENT_LEN]>,
    /// What one client is sent, by each processor for itself; `None` is no limit.
    pub limit: Option<Limit>,
}

/// A limit by the generic cell rate algorithm (ITU-T I.371, annex A).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Nanoseconds between packets at the full rate; not zero.
    pub interval: u64,
    /// How many nanoseconds too early a packet may come.
    pub tolerance: u64,
}

/// Where a program is attached (`XDP_FLAGS_*`, include/uapi/linux/if_link.h in the kernel).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver.
    Native,
    /// Behind it, where the driver has no place for one: it costs more there.
    Generic,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// A program that is attached to an interface.
#[derive(Debug)]
pub struct Attachment {
    /// Where.
    pub mode: Mode,
    /// Holds it there.
    pub link: OwnedFd,
    /// The map of its counters.
    pub counters: OwnedFd,
}

/// Where an attached program is now. Once one of these has changed, it may not do what it is to do there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the interface.
    pub interface: String,
    /// Its Ethernet address: the program answers frames for that alone.
    pub ethernet: [u8; 6],
    /// It carries VLANs, whose frames the program cannot tell from others.
    pub has_vlans: bool,
}

/// What a program has done since it was attached. What it let pass is not counted here: the sockets' server has that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that it answered or dropped, by the address that they came to: primary, secondary.
    pub received: [u64; 2],
    /// Solicitations that it answered.
    pub advertisements: u64,
    /// Datagrams that it dropped, in the order of [`Drop::ALL`].
    pub dropped: [u64; Drop::ALL.len()],
}

impl Counts {
    /// Datagrams that came to one address.
    #[must_use]
    pub fn received(&self, via: Via) -> u64 {
        let [primary, secondary] = self.received;
        match via {
            Via::Primary => primary,
            Via::Secondary => secondary,
        }
    }

    /// Datagrams dropped, by reason.
    pub fn dropped(&self) -> impl Iterator<Item = (Drop, u64)> {
        Drop::ALL.into_iter().zip(self.dropped)
    }
}

/// What a system with such programs supplies; others have the defaults.
pub trait Accelerator {
    /// Whether this program was built with it. Where not, every call fails.
    const BUILT_IN: bool = false;

    /// Loads the program and attaches it to an interface of this name: in the driver, else behind it.
    ///
    /// # Errors
    /// The program was built without it; the system has none, or does not permit it; there is no such interface, or another
    /// program is attached there.
    fn attach(_rules: &Rules, interface: &str) -> Result<Attachment, OsError> {
        Err(OsError::refused("attach XDP", interface, UNSUPPORTED))
    }

    /// Where the program of a link is: nowhere, once its interface is gone or somebody has detached it.
    ///
    /// # Errors
    /// Of bpf(2) and getifaddrs(3).
    fn place(_link: BorrowedFd<'_>) -> Result<Option<Place>, OsError> {
        Err(OsError::refused("look at XDP link", "", UNSUPPORTED))
    }

    /// What a program has counted, from the map of its counters.
    ///
    /// # Errors
    /// Of bpf(2).
    fn counts(_counters: BorrowedFd<'_>) -> Result<Counts, OsError> {
        Err(OsError::refused("read XDP counters", "", UNSUPPORTED))
    }
}

/// Why there is no accelerator.
pub const UNSUPPORTED: &str =
    "this program was built without the feature xdp, which is for Linux on x86_64 and aarch64";

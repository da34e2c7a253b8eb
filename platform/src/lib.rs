//! What the server asks of an operating system, as two contracts, and the only unsafe code of the project.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`batch`] | the buffers that datagrams travel in, between a backend and its caller |
//! | [`udp`] | the two UDP sockets at work: waiting for them |
//! | [`plain`] | datagrams one a call, as every Unix can |
//! | `mmsg` | datagrams many a call, for systems with recvmmsg and sendmmsg |
//! | `sockopt` | socket options that no crate knows |
//! | `room` | the largest receive buffer where the kernel refuses what is too large |
//! | [`confine`](mod@confine), `ids` | giving up root, and the proof |
//! | [`detach`](mod@detach) | going into the background once all is well |
//! | [`inherit`] | descriptors passed on over exec |
//! | [`host`] | this host's IPv4 addresses |
//! | [`syslog`] | opening the system log |
//! | [`error`] | errors that name call and object |
//! | [`fake`] | both contracts in memory, for tests: records, loses, delays, answers would-block |
//! | `files` | how many files may be open |
//! | [`raw`] | the two ways out to native IPv6: a raw socket, a tunnel device |
//! | `tun`, `ipv6` | through a tunnel device, and the header in front of an ICMPv6 message |
//! | `icmp6`, `cmsg` | through a raw socket whose kernel writes that header, told by control messages |
//! | [`limit`](mod@limit) | rights of descriptors, sight of files |
//! | `bsd` | what the BSDs and macOS have in common |
//! | `linux`, `freebsd`, `openbsd`, `netbsd`, `dragonfly`, `macos` | what each does in its own way |
//!
//! Start-up in order: [`Endpoint::open`] and [`open_raw`] as root; [`confine`](confine()); then, and not before, what starts
//! threads: [`Udp::new`].
//!
//! # A new system
//! supplies one module, named after it, chosen below as `sys`, with
//! - `open_first`, `open_beside`, `clear_dont_fragment`: UDP sockets that share a port by load, if the system can, else
//!   `udp::open::open_alone` and `duplicate`; sockets that never send DF;
//! - `set_receive_buffer`, `RECEIVE_BUFFER_LIMIT`: room for what arrives, and what the administrator calls its limit;
//! - `Mover`: the fastest [`udp::Mover`] it has, at worst [`plain::Plain`];
//! - `open_raw`, `share_raw`, `RawSocket`: a [`RawIcmp6`] that sends from an address which is not the host's, and what it
//!   needs from root; a system that has none says so in `RAW_IS_TUNNEL` and names those of `tun`;
//! - `open_tunnel`, `raise`, `FRAME`, `FORWARDING`, `forwards`: a tunnel device, the command that brings its interface up,
//!   what goes before each packet, and whether the host forwards IPv6;
//! - `renounce`, `prove`, `seal`: what privilege it knows beside ids, given up for good and read back, and what would forbid
//!   reading back; `limit`: rights of a descriptor;
//! - `single_thread`: whether the process has but one thread, if the system tells;
//!
//! and its row in `ids`.

use std::io;
use std::net::Ipv6Addr;
use std::task::{Context, Poll};

pub mod batch;
#[cfg(not(target_os = "linux"))]
mod bsd;
#[cfg(any(
    all(test, target_os = "linux"),
    target_os = "freebsd",
    target_os = "openbsd"
))]
mod cmsg;
pub mod confine;
pub mod detach;
pub mod error;
pub mod fake;
mod files;
pub mod host;
#[cfg(any(target_os = "freebsd", target_os = "openbsd"))]
mod icmp6;
mod ids;
pub mod inherit;
mod ipv6;
pub mod limit;
#[cfg(any(target_os = "linux", target_os = "netbsd", target_os = "openbsd"))]
mod mmsg;
pub mod plain;
pub mod raw;
#[cfg(any(test, not(target_os = "linux")))]
mod room;
#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "openbsd"))]
mod sockopt;
pub mod syslog;
mod tun;
pub mod udp;

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        mod linux;
        use linux as sys;
    } else if #[cfg(target_os = "freebsd")] {
        mod freebsd;
        use freebsd as sys;
    } else if #[cfg(target_os = "openbsd")] {
        mod openbsd;
        use openbsd as sys;
    } else if #[cfg(target_os = "netbsd")] {
        mod netbsd;
        use netbsd as sys;
    } else if #[cfg(target_os = "dragonfly")] {
        mod dragonfly;
        use dragonfly as sys;
    } else if #[cfg(target_os = "macos")] {
        mod macos;
        use macos as sys;
    } else {
        compile_error!("this system has no module in platform/src yet: see \"A new system\" in platform/src/lib.rs");
    }
}

pub use batch::{BATCH, DATAGRAM_MAX, Inbox, Outbox, Outgoing, REPLY_MAX, Received};
pub use confine::{
    Confined, EMPTY_DIR, Identity, Root, confine, confine_unprivileged, default_root,
};
pub use detach::{Starting, detach};
pub use error::OsError;
pub use files::allow_files;
pub use host::{HostAddresses, host_addresses};
pub use inherit::{Inherited, keep, strangers};
pub use limit::{Access, limit, restrict_monitor};
pub use raw::{Raw, Way, check_raw, open_raw, share_raw};
/// The fastest [`udp::Mover`] of this system.
pub use sys::Mover as FastMover;
/// What keeps [`Endpoint::set_receive_buffer`] from granting more.
pub use sys::RECEIVE_BUFFER_LIMIT;
pub use udp::{Endpoint, PairSockets, open_pairs};

/// The fastest [`UdpPair`] of this system, or the plain one with the feature `plain-udp`.
#[cfg(not(feature = "plain-udp"))]
pub type Udp = udp::SocketPair<FastMover>;
/// The plain [`UdpPair`], because the feature `plain-udp` asks for it.
#[cfg(feature = "plain-udp")]
pub type Udp = udp::SocketPair<plain::Plain>;

/// One of the server's two IPv4 addresses (RFC 4380 section 2.17 calls the secondary the discovery address).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// The address that Teredo addresses of this server embed.
    Primary,
    /// The other one, from which solicitations with the cone bit are answered.
    Secondary,
}

impl Via {
    /// The other address of the pair.
    pub fn other(self) -> Self {
        match self {
            Self::Primary => Self::Secondary,
            Self::Secondary => Self::Primary,
        }
    }
}

/// What became of an attempt to move one thing or many without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many were moved; never zero.
    Moved(usize),
    /// Nothing can be moved now. Not an error.
    WouldBlock,
}

/// What became of the datagrams of one [`Outbox`]. The three numbers add up to its length.
#[derive(Debug, Default)]
pub struct SendReport {
    /// Datagrams that the kernel took.
    pub sent: usize,
    /// Datagrams for which the socket had no room. They are lost, as on any full link.
    pub would_block: usize,
    /// Datagrams that the kernel refused (no route, a firewall); the last reason is in `error`.
    pub failed: usize,
    /// The last refusal.
    pub error: Option<io::Error>,
}

impl SendReport {
    /// Counts one datagram that the kernel refused.
    pub(crate) fn refused(&mut self, error: io::Error) {
        self.failed = self.failed.saturating_add(1);
        self.error = Some(error);
    }
}

/// Two UDP sockets, or one in one-address mode, on the Teredo port (RFC 4380 section 2.7).
///
/// A backend owes: each datagram is reported with the address it came to and its true source; a datagram longer
/// than [`DATAGRAM_MAX`] is reported as truncated, never as whole; an ICMP error that an earlier send provoked
/// never surfaces as an error of `receive`; nothing waits but `poll_readable`. A batch of one is always legal.
pub trait UdpPair {
    /// Receives what has arrived, at most [`BATCH`] datagrams, replacing what `inbox` held.
    ///
    /// After [`Progress::WouldBlock`] it may find nothing more until `poll_readable` was ready: a backend need not ask
    /// the kernel again about a socket that it has read empty.
    ///
    /// # Errors
    /// Only what makes the sockets useless until somebody acts: the error names the call and the address.
    fn receive(&mut self, inbox: &mut Inbox) -> io::Result<Progress>;

    /// Sends every datagram of `outbox`, each from the address that it names. One that fails does not stop the rest.
    fn send(&mut self, outbox: &Outbox) -> SendReport;

    /// Waits until `receive` may find something, on either address. Spurious readiness is allowed. It may hold its thread for
    /// a moment: each pair is served on a thread of its own.
    ///
    /// # Errors
    /// Of the reactor, never of the peers.
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// One ICMPv6 message on its way to the native IPv6 Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp6<'a> {
    /// A client's Teredo address: no address of this host.
    pub source: Ipv6Addr,
    /// A global unicast address.
    pub destination: Ipv6Addr,
    /// Hop limit of the packet, as it is to leave.
    pub hop_limit: u8,
    /// From the type octet on, checksum filled in over the two addresses above (RFC 4443 section 2.3).
    pub message: &'a [u8],
}

/// A way to send ICMPv6 from an address that is not this host's (RFC 4380 section 5.2.9).
pub trait RawIcmp6 {
    /// Sends one message, unchanged but for the IPv6 header in front of it.
    ///
    /// # Errors
    /// What the kernel says of this message: no route, a firewall, a message too long. The next one may pass.
    fn send(&mut self, message: &Icmp6<'_>) -> io::Result<Progress>;
}

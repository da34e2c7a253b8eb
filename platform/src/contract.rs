//! The two contracts between the server and an operating system, and the values that they pass. Nothing here asks a system
//! for anything: whoever brings a new backend reads this first.

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV4};
use std::task::{Context, Poll};

mod batch;

pub use batch::{BATCH, DATAGRAM_MAX, Inbox, Outbox, Outgoing, REPLY_MAX, Received};

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

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary address",
            Self::Secondary => "secondary address",
        })
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
    /// Datagrams for which there was no room. They are lost, as on any full link; the last one's address is in `full`.
    pub would_block: usize,
    /// Where the last datagram was to go for which there was no room.
    pub full: Option<SocketAddrV4>,
    /// Datagrams that the kernel refused (no route, a firewall); the last one's address and reason are in `error`.
    pub failed: usize,
    /// The last refusal, and where that datagram was to go.
    pub error: Option<(SocketAddrV4, io::Error)>,
}

impl SendReport {
    /// Counts one datagram for which there was no room.
    pub(crate) fn no_room(&mut self, to: SocketAddrV4) {
        self.would_block = self.would_block.saturating_add(1);
        self.full = Some(to);
    }

    /// Counts one datagram that the kernel refused.
    pub(crate) fn refused(&mut self, to: SocketAddrV4, error: io::Error) {
        self.failed = self.failed.saturating_add(1);
        self.error = Some((to, error));
    }
}

/// Two UDP sockets, or one in one-address mode, on the Teredo port (RFC 4380 section 2.7).
///
/// A backend owes: each datagram is reported with the address it came to and its true source; a datagram longer
/// than [`DATAGRAM_MAX`] is reported as truncated, never as whole; an ICMP error that an earlier send provoked
/// never surfaces as an error of `receive`; nothing waits but `poll_readable`. A batch of one is always legal.
pub trait UdpPair {
    /// Receives what has arrived, at most [`BATCH`] datagrams, replacing what `inbox` held, and says what the kernel dropped
    /// before that, as far as is known: [`Inbox::dropped`], whatever the outcome.
    ///
    /// After [`Progress::WouldBlock`] it may find nothing more until `poll_readable` was ready: a backend need not ask
    /// the kernel again about a socket that it has read empty.
    ///
    /// # Errors
    /// Only what makes the sockets useless until somebody acts: the error names the call and the address.
    fn receive(&mut self, inbox: &mut Inbox) -> io::Result<Progress>;

    /// Adds to [`Inbox::dropped`] what was dropped up to this moment: for the end, since `receive` may say it late.
    fn look_for_drops(&mut self, inbox: &mut Inbox);

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

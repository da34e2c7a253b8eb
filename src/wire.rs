//! Teredo on the wire: views that are checked once and cannot panic afterwards, and values that parse and emit themselves.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`address`] | service prefix, Teredo address, the server's link-local address |
//! | [`scope`] | which IPv4 and IPv6 addresses may be talked to |
//! | [`encapsulation`] | what a UDP datagram holds: authentication, origin indication, IPv6 packet, the rest |
//! | [`trailers`] | RFC 6081 trailers behind the packet |
//! | [`ipv6`] | the IPv6 packet; bubbles |
//! | [`icmp6`] | ICMPv6 messages, their checksum, echo |
//! | [`discovery`] | Router Solicitation and Router Advertisement |
//! | [`options`] | their options |
//!
//! Every integer is in network byte order on the wire and in the host's in a value. Every `emit` writes at the start
//! of a buffer and returns what is left of it, or `None`, with the buffer's content unspecified, if it is too short;
//! so emissions chain with `?`, and the length written is the difference.

pub mod address;
pub mod discovery;
pub mod encapsulation;
pub mod icmp6;
pub mod ipv6;
pub mod options;
pub mod scope;
pub mod trailers;

/// The UDP port of Teredo servers (RFC 4380 section 2.7).
pub const TEREDO_PORT: u16 = 3544;

/// Writes `bytes` at the start of `out` and returns the rest of it, or `None` if they do not fit.
#[must_use]
pub fn put<'a>(out: &'a mut [u8], bytes: &[u8]) -> Option<&'a mut [u8]> {
    let (head, rest) = out.split_at_mut_checked(bytes.len())?;
    head.copy_from_slice(bytes);
    Some(rest)
}

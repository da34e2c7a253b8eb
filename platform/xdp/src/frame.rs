//! Ethernet, IPv4 (RFC 791) and UDP (RFC 768) around a datagram for the server.

use aya_ebpf::programs::XdpContext;

use crate::layout::PAYLOAD_MAX;
use crate::packet::{folded, octets, sum, u16_at, u32_at, words};
use crate::setting;

/// Length in bytes of an Ethernet header without tags.
const ETHERNET: usize = 14;
/// Length in bytes of an IPv4 header without options.
const IPV4: usize = 20;
/// Length in bytes of a UDP header.
const UDP: usize = 8;
/// Where the payload of the datagram begins.
pub const PAYLOAD: usize = ETHERNET + IPV4 + UDP;

/// Version 4, five words: no options.
const VERSION_AND_LENGTH: u8 = 0x45;
/// The protocol number of UDP.
const PROTOCOL: u8 = 17;
/// What a datagram in one piece has as flags and fragment offset, but for the DF bit.
const FRAGMENT: u16 = 0x3fff;
/// The server's port (RFC 4380 section 2.7).
pub const PORT: u16 = 3544_u16.to_be();

/// A datagram for the server: in one piece, and as it was sent.
pub struct Frame {
    /// Where it comes from, as on the wire.
    pub source: u32,
    /// The port there, as on the wire.
    pub port: u16,
    /// It came to the primary address.
    pub to_primary: bool,
    /// Where its payload ends.
    pub end: usize,
}

impl Frame {
    /// `None` is a frame that is none of the program's business, or that it cannot be sure of: not for this host, a tag of a VLAN,
    /// options, a fragment, a checksum that is wrong or not there yet.
    #[inline(always)]
    pub fn parse(context: &XdpContext) -> Option<Self> {
        let headers: &[u8; PAYLOAD] = octets(context, 0)?;
        let ethernet = setting!(ethernet);
        let to: [u8; 6] = [
            headers[0], headers[1], headers[2], headers[3], headers[4], headers[5],
        ];
        // Answers go back to where the frame came from, which no group is.
        if to != ethernet || headers[6] & 1 != 0 || headers[12..14] != [8, 0] {
            return None;
        }
        if headers[14] != VERSION_AND_LENGTH
            || headers[23] != PROTOCOL
            || u16_at(headers, 20).swap_bytes() & FRAGMENT != 0
            || u16_at(headers, 36) != PORT
        {
            return None;
        }
        let destination = u32_at(headers, 30);
        let to_primary = destination == setting!(primary);
        if !to_primary && (destination != setting!(secondary) || destination == 0) {
            return None;
        }
        let total = usize::from(u16_at(headers, 16).swap_bytes());
        let length = usize::from(u16_at(headers, 38).swap_bytes());
        if !(UDP..=UDP + PAYLOAD_MAX).contains(&length) || total != IPV4 + length {
            return None;
        }
        let header: &[u8; IPV4] = octets(context, ETHERNET)?;
        if folded(words(header)) != 0xffff {
            return None;
        }
        let source = u32_at(headers, 26);
        if u16_at(headers, 40) != 0 {
            let sum = sum::<{ UDP + PAYLOAD_MAX + 32 }>(context, ETHERNET + IPV4, length)?;
            if folded(sum + pseudo_header(source, destination, length)) != 0xffff {
                return None;
            }
        }
        // Where there is no checksum, nothing has looked for the end yet.
        if context.data() + ETHERNET + total > context.data_end() {
            return None;
        }
        Some(Self {
            source,
            port: u16_at(headers, 34),
            to_primary,
            end: ETHERNET + total,
        })
    }
}

/// What is summed beside a datagram (RFC 768).
#[inline(always)]
pub fn pseudo_header(source: u32, destination: u32, length: usize) -> u64 {
    let last = u16::from(PROTOCOL).to_be() as u64 + (length as u16).to_be() as u64;
    u64::from(source) + u64::from(destination) + last
}

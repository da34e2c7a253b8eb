//! Rules 1 and 2: what can never be Teredo (RFC 4380 sections 5.1.1 and 5.3.1).

use aya_ebpf::programs::XdpContext;

use crate::frame::{Frame, PAYLOAD};
use crate::packet::octets;
use crate::reason::Drop;

/// Length in bytes of an authentication header without identifier and value.
pub const AUTHENTICATION: usize = 13;
/// Length in bytes of an origin indication.
pub const ORIGIN: usize = 8;
/// Length in bytes of an IPv6 header.
pub const IPV6: usize = 40;
/// Next header (RFC 4443 section 1).
pub const ICMP6: u8 = 58;
/// Nothing follows, as in a bubble.
const NO_NEXT_HEADER: u8 = 59;

/// A datagram that may be Teredo.
pub struct Datagram {
    /// It begins with an authentication header.
    pub authenticated: bool,
    /// That has an identifier or a value.
    pub named: bool,
    /// Where the IPv6 packet begins.
    pub packet: usize,
    /// The length of its payload in bytes.
    pub payload: usize,
}

impl Datagram {
    /// `None` where the frame ends before its headers say so, which was looked at: the verifier does not know that.
    #[inline(always)]
    pub fn parse(context: &XdpContext, frame: &Frame) -> Option<Result<Self, Drop>> {
        let (mut at, mut named, mut authenticated) = (PAYLOAD, false, false);
        if marked(context, frame, at)? == 1 {
            if frame.end < at + 4 {
                return Some(Err(Drop::Authentication));
            }
            let [_, _, identifier, value] = *octets(context, at)?;
            at += AUTHENTICATION + usize::from(identifier) + usize::from(value);
            if frame.end < at {
                return Some(Err(Drop::Authentication));
            }
            (authenticated, named) = (true, identifier | value != 0);
        }
        if marked(context, frame, at)? == 0 {
            at += ORIGIN;
            if frame.end < at {
                return Some(Err(Drop::Origin));
            }
        }
        if frame.end < at + IPV6 {
            return Some(Err(Drop::Header));
        }
        let header: &[u8; IPV6] = octets(context, at)?;
        if header[0] >> 4 != 6 {
            return Some(Err(Drop::Version));
        }
        let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if frame.end < at + IPV6 + payload {
            return Some(Err(Drop::PayloadLength));
        }
        let next_header = header[6];
        if next_header != ICMP6 && (next_header != NO_NEXT_HEADER || payload != 0) {
            return Some(Err(Drop::NextHeader));
        }
        Some(Ok(Self {
            authenticated,
            named,
            packet: at,
            payload,
        }))
    }
}

/// The mark that says what begins here: 0 an origin indication, 1 an authentication header, else neither.
#[inline(always)]
fn marked(context: &XdpContext, frame: &Frame, at: usize) -> Option<u16> {
    if frame.end < at + 2 {
        return Some(u16::MAX);
    }
    Some(u16::from_be_bytes(*octets(context, at)?))
}

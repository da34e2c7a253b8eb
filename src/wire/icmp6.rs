//! ICMPv6 messages (RFC 4443).

use std::fmt;
use std::net::Ipv6Addr;

use pnet_packet::icmpv6::echo_request::{EchoRequestPacket, MutableEchoRequestPacket};
use pnet_packet::icmpv6::{Icmpv6Packet, Icmpv6Type, Icmpv6Types, MutableIcmpv6Packet};

use super::ipv6::{Header, ICMP6, Packet};

/// Type 128 (RFC 4443 section 4.1).
pub const ECHO_REQUEST: Icmpv6Type = Icmpv6Types::EchoRequest;
/// Type 129 (RFC 4443 section 4.2).
pub const ECHO_REPLY: Icmpv6Type = Icmpv6Types::EchoReply;
/// Type 133 (RFC 4861 section 4.1).
pub const ROUTER_SOLICITATION: Icmpv6Type = Icmpv6Types::RouterSolicit;
/// Type 134 (RFC 4861 section 4.2).
pub const ROUTER_ADVERTISEMENT: Icmpv6Type = Icmpv6Types::RouterAdvert;

/// Why an ICMPv6 message is not what it was to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invalid {
    /// It is no ICMPv6 message, or one of another type.
    Type,
    /// It ends before the fields of its type do.
    Short,
    /// Its code is not 0.
    Code,
    /// Its hop limit is not 255: a router forwarded it, which none may (RFC 4861 section 6.1).
    HopLimit,
    /// An option is empty or points past its end (RFC 4861 section 4.6).
    Options,
    /// Its checksum is wrong (RFC 4443 section 2.3).
    Checksum,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type => "another ICMPv6 type",
            Self::Short => "ICMPv6 message cut short",
            Self::Code => "ICMPv6 code not 0",
            Self::HopLimit => "hop limit not 255",
            Self::Options => "option empty or cut short",
            Self::Checksum => "wrong ICMPv6 checksum",
        })
    }
}

impl std::error::Error for Invalid {}

/// The type of the ICMPv6 message in `packet`, if there is one.
#[must_use]
pub fn kind(packet: &Packet<'_>) -> Option<Icmpv6Type> {
    if packet.header().next_header != ICMP6 {
        return None;
    }
    packet.payload().first().copied().map(Icmpv6Type)
}

/// Verifies the checksum of the ICMPv6 message in `packet` (RFC 4443 section 2.3, RFC 1071).
///
/// # Errors
/// [`Invalid::Checksum`].
pub fn verify_checksum(packet: &Packet<'_>) -> Result<(), Invalid> {
    let header = packet.header();
    // A sum over the checksum itself comes to zero if and only if it is right, in both its zeroes.
    match checksum(packet.payload(), header.source, header.destination) {
        0 => Ok(()),
        _ => Err(Invalid::Checksum),
    }
}

/// Writes `header` and the message of `header.payload_len` bytes that `fill` makes of zeroes; type and checksum are added.
pub(super) fn emit(
    out: &mut [u8],
    header: Header,
    kind: Icmpv6Type,
    fill: impl FnOnce(&mut [u8]) -> Option<()>,
) -> Option<&mut [u8]> {
    let out = header.emit(out)?;
    let (message, rest) = out.split_at_mut_checked(header.payload_len.into())?;
    message.fill(0);
    fill(message)?;
    MutableIcmpv6Packet::new(message)?.set_icmpv6_type(kind);
    let sum = checksum(message, header.source, header.destination);
    MutableIcmpv6Packet::new(message)?.set_checksum(sum);
    Some(rest)
}

/// An echo request or reply (RFC 4443 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo<'a> {
    /// [`ECHO_REQUEST`] or [`ECHO_REPLY`].
    pub kind: Icmpv6Type,
    /// Chosen by the requester, to match replies.
    pub identifier: u16,
    /// Chosen by the requester, to match replies.
    pub sequence: u16,
    /// Repeated by the reply.
    pub data: &'a [u8],
}

impl<'a> Echo<'a> {
    /// Length in bytes of the message without data.
    pub const MIN_LEN: usize = 8;

    /// Reads the echo request or reply in `packet`, whose code and checksum must be right.
    ///
    /// # Errors
    /// [`Invalid::Type`], [`Invalid::Short`], [`Invalid::Code`] or [`Invalid::Checksum`], in this order.
    pub fn parse(packet: &Packet<'a>) -> Result<Self, Invalid> {
        let kind = kind(packet)
            .filter(|kind| is_echo(*kind))
            .ok_or(Invalid::Type)?;
        let (_, data) = packet
            .payload()
            .split_at_checked(Self::MIN_LEN)
            .ok_or(Invalid::Short)?;
        let fields = EchoRequestPacket::new(packet.payload()).ok_or(Invalid::Short)?;
        if fields.get_icmpv6_code().0 != 0 {
            return Err(Invalid::Code);
        }
        verify_checksum(packet)?;
        Ok(Self {
            kind,
            identifier: fields.get_identifier(),
            sequence: fields.get_sequence_number(),
            data,
        })
    }

    /// The reply to a request.
    #[must_use]
    pub fn to_reply(self) -> Self {
        Self {
            kind: ECHO_REPLY,
            ..self
        }
    }

    /// Writes the message in an IPv6 packet; see [`super`]. Data of more than 65,527 bytes does not fit either.
    #[must_use]
    pub fn emit<'o>(
        &self,
        out: &'o mut [u8],
        source: Ipv6Addr,
        destination: Ipv6Addr,
        hop_limit: u8,
    ) -> Option<&'o mut [u8]> {
        let payload_len = u16::try_from(self.data.len().checked_add(Self::MIN_LEN)?).ok()?;
        let header = Header {
            next_header: ICMP6,
            payload_len,
            hop_limit,
            source,
            destination,
        };
        emit(out, header, self.kind, |message| {
            // pnet_packet's request and reply have the same fields in the same places.
            let mut fields = MutableEchoRequestPacket::new(message)?;
            fields.set_identifier(self.identifier);
            fields.set_sequence_number(self.sequence);
            fields.set_payload(self.data);
            Some(())
        })
    }
}

/// Says whether a type is echo request or echo reply.
#[must_use]
pub fn is_echo(kind: Icmpv6Type) -> bool {
    matches!(kind, ECHO_REQUEST | ECHO_REPLY)
}

/// The code of `packet`'s ICMPv6 message of at least `min_len` bytes and of type `expected` must be 0.
pub(super) fn check_kind_and_code(
    packet: &Packet<'_>,
    expected: Icmpv6Type,
    min_len: usize,
) -> Result<(), Invalid> {
    if kind(packet) != Some(expected) {
        return Err(Invalid::Type);
    }
    if packet.payload().len() < min_len {
        return Err(Invalid::Short);
    }
    match Icmpv6Packet::new(packet.payload()).map(|fields| fields.get_icmpv6_code().0) {
        Some(0) => Ok(()),
        Some(_) => Err(Invalid::Code),
        None => Err(Invalid::Short),
    }
}

/// The checksum over pseudo-header and message (RFC 4443 section 2.3, RFC 8200 section 8.1), 32 bits at a time, as RFC 1071
/// section 2 allows. That of pnet_packet, 16 bits at a time, took a third of the time that a solicitation takes.
fn checksum(message: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> u16 {
    let length = message.len() as u64;
    let sum = [
        words(&source.octets()),
        words(&destination.octets()),
        words(message),
        length,
        ICMP6.0.into(),
    ];
    let mut sum = sum.into_iter().fold(0_u64, u64::wrapping_add);
    // Each turn halves the length of what is left; an IPv6 packet has no more than 2^14 words.
    for _ in 0..4 {
        sum = (sum >> 16).wrapping_add(sum & 0xffff);
    }
    !(sum as u16)
}

/// The sum of big-endian words, the last one filled up with zeroes.
fn words(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let mut last = [0; 4];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    words
        .iter()
        .chain([&last])
        .map(|word| u64::from(u32::from_be_bytes(*word)))
        .fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use pnet_packet::util::ipv6_checksum;

    use super::*;

    #[test]
    fn checksums_are_those_of_another_implementation() {
        let source = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 1, 0, 0xfffe, 0, 1);
        let destination = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
        let bytes: Vec<u8> = (0..65_535_u32)
            .map(|n| (n.wrapping_mul(n) >> 3) as u8)
            .collect();
        let lengths = (0..200).chain([1232, 65_534, 65_535]);
        for message in lengths.flat_map(|length| [&bytes[..length], &[0xff; 65_535][..length]]) {
            let expected = ipv6_checksum(message, usize::MAX, &[], &source, &destination, ICMP6);
            assert_eq!(
                checksum(message, source, destination),
                expected,
                "{}",
                message.len()
            );
        }
    }
}

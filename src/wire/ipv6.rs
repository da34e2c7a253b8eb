//! The IPv6 packet inside (RFC 8200 section 3), and the bubble (RFC 4380 section 2.8).

use std::fmt;
use std::net::Ipv6Addr;
use std::ops::Range;

use pnet_packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet_packet::ipv6::{Ipv6Packet, MutableIpv6Packet};

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 40;
/// Next header: ICMPv6 (RFC 4443 section 1).
pub const ICMP6: IpNextHeaderProtocol = IpNextHeaderProtocols::Icmpv6;
/// Next header: nothing (RFC 8200 section 4.7).
pub const NO_NEXT_HEADER: IpNextHeaderProtocol = IpNextHeaderProtocols::Ipv6NoNxt;

/// Why bytes are no IPv6 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// They end inside the header, or before it.
    Header,
    /// What should be a header has another version.
    Version,
    /// The payload length points past the end.
    PayloadLength,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "IPv6 header cut short",
            Self::Version => "not IPv6",
            Self::PayloadLength => "IPv6 payload cut short",
        })
    }
}

impl std::error::Error for Malformed {}

/// An IPv6 packet whose version and length were checked; no accessor can panic.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Header and payload, no more and no less.
    bytes: &'a [u8],
    payload: &'a [u8],
    /// What decisions are made on, read once.
    header: Header,
}

impl<'a> Packet<'a> {
    /// Reads a packet from the start of `bytes` and returns it with what follows.
    ///
    /// # Errors
    /// The first of the [`Malformed`] that applies, in their order.
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let fields = Ipv6Packet::new(bytes).ok_or(Malformed::Header)?;
        if fields.get_version() != 6 {
            return Err(Malformed::Version);
        }
        // pnet_packet clamps a payload length that points past the end in silence, so the payload is cut here.
        let len = HEADER_LEN.saturating_add(fields.get_payload_length().into());
        let (packet, rest) = bytes
            .split_at_checked(len)
            .ok_or(Malformed::PayloadLength)?;
        let (_, payload) = packet
            .split_at_checked(HEADER_LEN)
            .ok_or(Malformed::Header)?;
        let header = Header {
            next_header: fields.get_next_header(),
            payload_len: fields.get_payload_length(),
            hop_limit: fields.get_hop_limit(),
            source: address(bytes, field::SOURCE)?,
            destination: address(bytes, field::DESTINATION)?,
        };
        Ok((
            Self {
                bytes: packet,
                payload,
                header,
            },
            rest,
        ))
    }

    /// Header and payload.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What follows the header.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The header without traffic class and flow label, which nobody here looks at.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Says whether this is a bubble: no next header and no payload (RFC 4380 section 2.8).
    #[must_use]
    pub fn is_bubble(&self) -> bool {
        self.header.next_header == NO_NEXT_HEADER && self.payload.is_empty()
    }
}

/// An IPv6 header with traffic class and flow label zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the payload is.
    pub next_header: IpNextHeaderProtocol,
    /// Length of the payload in bytes.
    pub payload_len: u16,
    /// How many routers may still forward it.
    pub hop_limit: u8,
    /// Where it says it comes from.
    pub source: Ipv6Addr,
    /// Where it goes.
    pub destination: Ipv6Addr,
}

impl Header {
    /// The header of a bubble (RFC 4380 section 2.8). Clients in the field send hop limit 0 as well as others.
    #[must_use]
    pub fn bubble(source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        Self {
            next_header: NO_NEXT_HEADER,
            payload_len: 0,
            hop_limit: 255,
            source,
            destination,
        }
    }

    /// Writes the header; see [`super`].
    #[must_use]
    pub fn emit<'o>(&self, out: &'o mut [u8]) -> Option<&'o mut [u8]> {
        let (head, rest) = out.split_at_mut_checked(HEADER_LEN)?;
        let mut fields = MutableIpv6Packet::new(head)?;
        fields.set_version(6);
        fields.set_traffic_class(0);
        fields.set_flow_label(0);
        fields.set_payload_length(self.payload_len);
        fields.set_next_header(self.next_header);
        fields.set_hop_limit(self.hop_limit);
        fields.set_source(self.source);
        fields.set_destination(self.destination);
        Some(rest)
    }
}

mod field {
    use std::ops::Range;

    pub(super) const SOURCE: Range<usize> = 8..24;
    pub(super) const DESTINATION: Range<usize> = 24..40;
}

/// Reads an address as one piece. pnet_packet reads eight words and checks the bounds of each octet, which was a quarter
/// of the time that a packet with a forged source took.
fn address(bytes: &[u8], field: Range<usize>) -> Result<Ipv6Addr, Malformed> {
    let octets: Option<[u8; 16]> = bytes.get(field).and_then(|octets| octets.try_into().ok());
    octets.map(Ipv6Addr::from).ok_or(Malformed::Header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header::bubble(
            "2001:0:c000:201::1".parse().unwrap(),
            "2001:db8::2".parse().unwrap(),
        )
    }

    #[test]
    fn reads_what_it_wrote() {
        let mut bytes = [0xaa; 43];
        header().emit(&mut bytes).unwrap();
        let (packet, rest) = Packet::split(&bytes).unwrap();
        assert_eq!(*packet.header(), header());
        assert!(packet.is_bubble());
        assert_eq!(packet.bytes().len(), HEADER_LEN);
        assert_eq!(rest, [0xaa; 3]);
    }

    #[test]
    fn a_payload_makes_it_no_bubble() {
        let mut bytes = [0; 41];
        Header {
            payload_len: 1,
            ..header()
        }
        .emit(&mut bytes)
        .unwrap();
        let (packet, _) = Packet::split(&bytes).unwrap();
        assert!(!packet.is_bubble());
        assert_eq!(packet.payload(), [0]);
    }

    #[test]
    fn lengths_and_version_are_checked() {
        let mut bytes = [0; 45];
        Header {
            payload_len: 5,
            ..header()
        }
        .emit(&mut bytes)
        .unwrap();
        assert!(Packet::split(&bytes).is_ok());
        assert_eq!(
            Packet::split(&bytes[..44]).unwrap_err(),
            Malformed::PayloadLength
        );
        assert_eq!(Packet::split(&bytes[..39]).unwrap_err(), Malformed::Header);
        bytes[0] = 0x40;
        assert_eq!(Packet::split(&bytes).unwrap_err(), Malformed::Version);
    }
}

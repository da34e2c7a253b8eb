//! Datagrams as cases need them, right and wrong. Built without the crate under test, so that a mistake there shows.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use pnet_packet::ip::IpNextHeaderProtocol;
use pnet_packet::util::ipv6_checksum;

pub(crate) const PORT: u16 = 3544;
pub(crate) const PRIMARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const SECONDARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// Some other operator's server.
pub(crate) const OTHER_SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// Where most cases come from.
pub(crate) const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 10), 40_000);
/// Where most Teredo destinations are.
pub(crate) const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 20), 41_000);
/// A host on the native IPv6 Internet.
pub(crate) const NATIVE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
pub(crate) const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// A client that has no address yet (RFC 4380 section 5.2.1), without and with the cone bit.
pub(crate) const NEWCOMER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xffff, 0xffff, 0xffff);
pub(crate) const CONE_NEWCOMER: Ipv6Addr =
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x8000, 0xffff, 0xffff, 0xffff);

pub(crate) const ICMP6: u8 = 58;
pub(crate) const NO_NEXT_HEADER: u8 = 59;
pub(crate) const ECHO_REQUEST: u8 = 128;
pub(crate) const ECHO_REPLY: u8 = 129;
pub(crate) const ROUTER_SOLICITATION: u8 = 133;

/// An address as people write it.
pub(crate) fn ip6(text: &str) -> Ipv6Addr {
    text.parse().expect("an IPv6 address")
}

/// The Teredo address of a client of `server` that is seen as `mapped` (RFC 4380 section 4).
pub(crate) fn teredo_with(
    prefix: u32,
    server: Ipv4Addr,
    flags: u16,
    mapped: SocketAddrV4,
) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets[..4].copy_from_slice(&prefix.to_be_bytes());
    octets[4..8].copy_from_slice(&server.octets());
    octets[8..10].copy_from_slice(&flags.to_be_bytes());
    octets[10..12].copy_from_slice(&(!mapped.port()).to_be_bytes());
    octets[12..].copy_from_slice(&(!mapped.ip().to_bits()).to_be_bytes());
    Ipv6Addr::from(octets)
}

pub(crate) fn teredo(server: Ipv4Addr, mapped: SocketAddrV4) -> Ipv6Addr {
    teredo_with(0x2001_0000, server, 0, mapped)
}

/// The Teredo address of `mapped` if it is a client of the server under test.
pub(crate) fn ours(mapped: SocketAddrV4) -> Ipv6Addr {
    teredo(PRIMARY, mapped)
}

/// The link-local address of a server at `server` (RFC 4380 section 5.3.1).
pub(crate) fn server_link_local(server: Ipv4Addr) -> Ipv6Addr {
    let mapped = SocketAddrV4::new(server, PORT);
    teredo_with(0xfe80_0000, Ipv4Addr::UNSPECIFIED, 0x8000, mapped)
}

/// The 4 octets of IPv4 address `last` octets of `address`, as 6to4 embeds it (RFC 3056 section 2).
pub(crate) fn six_to_four(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = address.octets();
    Ipv6Addr::new(
        0x2002,
        u16::from_be_bytes([a, b]),
        u16::from_be_bytes([c, d]),
        1,
        0,
        0,
        0,
        1,
    )
}

/// An IPv6 packet. The payload length is that of the payload unless a case edits it.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) source: Ipv6Addr,
    pub(crate) destination: Ipv6Addr,
    pub(crate) next_header: u8,
    pub(crate) hop_limit: u8,
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    pub(crate) fn bubble(source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        Self {
            source,
            destination,
            next_header: NO_NEXT_HEADER,
            hop_limit: 0,
            payload: Vec::new(),
        }
    }

    /// An ICMPv6 message of `body` after type, code and a checksum that is right.
    pub(crate) fn icmp6(
        source: Ipv6Addr,
        destination: Ipv6Addr,
        kind: u8,
        code: u8,
        body: &[u8],
    ) -> Self {
        let mut payload = vec![kind, code, 0, 0];
        payload.extend_from_slice(body);
        let icmp6 = IpNextHeaderProtocol(ICMP6);
        let sum = ipv6_checksum(&payload, 1, &[], &source, &destination, icmp6);
        payload[2..4].copy_from_slice(&sum.to_be_bytes());
        Self {
            source,
            destination,
            next_header: ICMP6,
            hop_limit: 255,
            payload,
        }
    }

    /// An echo request or reply whose whole ICMPv6 message is `len` octets long.
    pub(crate) fn echo(source: Ipv6Addr, destination: Ipv6Addr, kind: u8, len: usize) -> Self {
        let body: Vec<u8> = (0..=u8::MAX).cycle().take(len.saturating_sub(4)).collect();
        Self {
            hop_limit: 64,
            ..Self::icmp6(source, destination, kind, 0, &body)
        }
    }

    pub(crate) fn solicitation(source: Ipv6Addr, options: &[u8]) -> Self {
        let body = [&[0; 4], options].concat();
        Self::icmp6(source, ALL_ROUTERS, ROUTER_SOLICITATION, 0, &body)
    }

    pub(crate) fn hop_limit(self, hop_limit: u8) -> Self {
        Self { hop_limit, ..self }
    }

    pub(crate) fn next_header(self, next_header: u8) -> Self {
        Self {
            next_header,
            ..self
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0];
        let len = u16::try_from(self.payload.len()).expect("a payload that IPv6 can carry");
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&[self.next_header, self.hop_limit]);
        bytes.extend_from_slice(&self.source.octets());
        bytes.extend_from_slice(&self.destination.octets());
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

/// An authentication header (RFC 4380 section 5.1.1) with `id_len` and `au_len` octets of identifier and signature.
pub(crate) fn authentication(id_len: u8, au_len: u8, nonce: u64, confirmation: u8) -> Vec<u8> {
    let mut bytes = vec![0, 1, id_len, au_len];
    bytes.resize(4 + usize::from(id_len) + usize::from(au_len), b'a');
    bytes.extend_from_slice(&nonce.to_be_bytes());
    bytes.push(confirmation);
    bytes
}

/// An origin indication (RFC 4380 section 5.1.1).
pub(crate) fn origin(mapped: SocketAddrV4) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend_from_slice(&(!mapped.port()).to_be_bytes());
    bytes.extend_from_slice(&(!mapped.ip().to_bits()).to_be_bytes());
    bytes
}

/// A trailer (RFC 6081 section 4).
pub(crate) fn trailer(kind: u8, value: &[u8]) -> Vec<u8> {
    let len = u8::try_from(value.len()).expect("a value that a trailer can carry");
    [&[kind, len], value].concat()
}

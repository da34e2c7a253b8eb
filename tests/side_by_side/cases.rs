//! Every datagram that both servers are sent, by family.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use crate::packet::*;
use crate::rows::Row;

mod bubbles;
mod echoes;
mod framing;
mod native;
mod others;
mod solicitations;
mod sources;
mod to_server;
mod trailers;
mod validity;

/// One datagram, and the README's row that explains why the two servers treat it differently, if they do.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) row: Option<&'static Row>,
    pub(crate) from: SocketAddrV4,
    pub(crate) to: Ipv4Addr,
    pub(crate) bytes: Vec<u8>,
}

const NONCE: u64 = 0x0123_4567_89ab_cdef;

/// A source link-layer address option (RFC 4861 section 4.6.1).
const LINK_LAYER: [u8; 8] = [1, 1, 2, 0, 0, 0, 0, 1];

/// Octets of an echo's ICMPv6 message that no rule objects to.
const ECHO_LEN: usize = 16;
const ECHOES: [(&str, u8); 2] = [("echo request", ECHO_REQUEST), ("echo reply", ECHO_REPLY)];

/// The longest datagram in octets that ours reads.
const LONGEST: usize = 2048;

/// Whether ours alone refuses to talk to an IPv4 address: 6to4 anycast and what RFC 1112 section 4 reserves.
fn only_ours_refuses(address: Ipv4Addr) -> bool {
    match address.octets() {
        [192, 88, 99, _] => true,
        [first, ..] => first >= 240 && !address.is_broadcast(),
    }
}

/// IPv4 addresses on both sides of every border that RFC 4380 section 5.2.4 and protocol practice draw.
const ADDRESSES: [(&str, Ipv4Addr); 34] = [
    ("this network", Ipv4Addr::new(0, 0, 0, 0)),
    ("this network", Ipv4Addr::new(0, 255, 255, 255)),
    ("global", Ipv4Addr::new(9, 255, 255, 255)),
    ("private", Ipv4Addr::new(10, 0, 0, 1)),
    ("private", Ipv4Addr::new(10, 255, 255, 255)),
    ("global", Ipv4Addr::new(11, 0, 0, 0)),
    ("carrier NAT", Ipv4Addr::new(100, 64, 0, 1)),
    ("loopback", Ipv4Addr::new(127, 0, 0, 1)),
    ("loopback", Ipv4Addr::new(127, 255, 255, 254)),
    ("global", Ipv4Addr::new(128, 0, 0, 1)),
    ("global", Ipv4Addr::new(169, 253, 255, 255)),
    ("link-local", Ipv4Addr::new(169, 254, 0, 1)),
    ("link-local", Ipv4Addr::new(169, 254, 255, 255)),
    ("global", Ipv4Addr::new(172, 15, 255, 255)),
    ("private", Ipv4Addr::new(172, 16, 0, 1)),
    ("private", Ipv4Addr::new(172, 31, 255, 255)),
    ("global", Ipv4Addr::new(172, 32, 0, 0)),
    ("protocol assignments", Ipv4Addr::new(192, 0, 0, 1)),
    (
        "documentation, on the server's link",
        Ipv4Addr::new(192, 0, 2, 77),
    ),
    ("network of the server's link", Ipv4Addr::new(192, 0, 2, 0)),
    (
        "directed broadcast of the server's link",
        Ipv4Addr::new(192, 0, 2, 255),
    ),
    ("6to4 relay", Ipv4Addr::new(192, 88, 99, 1)),
    ("private", Ipv4Addr::new(192, 168, 0, 1)),
    ("private", Ipv4Addr::new(192, 168, 255, 255)),
    ("global", Ipv4Addr::new(192, 169, 0, 1)),
    ("benchmarking", Ipv4Addr::new(198, 18, 0, 1)),
    ("documentation", Ipv4Addr::new(198, 51, 100, 20)),
    ("documentation", Ipv4Addr::new(203, 0, 113, 255)),
    ("global", Ipv4Addr::new(223, 255, 255, 255)),
    ("multicast", Ipv4Addr::new(224, 0, 0, 1)),
    ("multicast", Ipv4Addr::new(239, 255, 255, 255)),
    ("reserved", Ipv4Addr::new(240, 0, 0, 1)),
    ("reserved", Ipv4Addr::new(255, 255, 255, 254)),
    ("broadcast", Ipv4Addr::new(255, 255, 255, 255)),
];

impl Case {
    /// From the usual client to the primary address; the servers agree on it.
    pub(crate) fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            row: None,
            from: CLIENT,
            to: PRIMARY,
            bytes,
        }
    }

    pub(crate) fn from(self, from: SocketAddrV4) -> Self {
        Self { from, ..self }
    }

    pub(crate) fn to(self, to: Ipv4Addr) -> Self {
        Self { to, ..self }
    }

    /// The servers differ on it, as `row` says.
    pub(crate) fn row(self, row: &'static Row) -> Self {
        Self {
            row: Some(row),
            ..self
        }
    }

    /// They differ, as `row` says, if `differ`.
    pub(crate) fn row_if(self, differ: bool, row: &'static Row) -> Self {
        if differ { self.row(row) } else { self }
    }
}

pub(crate) fn all() -> Vec<Case> {
    [
        solicitations::cases(),
        validity::cases(),
        framing::cases(),
        bubbles::cases(),
        trailers::cases(),
        echoes::cases(),
        native::cases(),
        to_server::cases(),
        others::cases(),
        sources::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A client of ours solicits.
fn solicitation() -> Packet {
    Packet::solicitation(NEWCOMER, &[])
}

/// Behind an authentication header, so that the one that the C server adds hides no other difference.
fn secured(solicitation: &Packet) -> Vec<u8> {
    [authentication(0, 0, NONCE, 0), solicitation.bytes()].concat()
}

/// A bubble between two clients of ours.
fn bubble() -> Packet {
    Packet::bubble(ours(CLIENT), ours(PEER))
}

/// The two directions and the two encapsulations in which an echo is carried.
fn echo_paths() -> [(&'static str, Ipv6Addr, Ipv6Addr); 4] {
    [
        ("to native", ours(CLIENT), NATIVE),
        ("from native to a client", NATIVE, ours(PEER)),
        ("from client to client", ours(CLIENT), ours(PEER)),
        (
            "to another server's client",
            ours(CLIENT),
            teredo(OTHER_SERVER, PEER),
        ),
    ]
}

//! Datagrams as clients, relays and attackers could send them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use miredo_server::wire::address::{
    ALL_ROUTERS, ServicePrefix, TeredoAddress, link_local, server_link_local,
};
use miredo_server::wire::discovery::RouterSolicitation;
use miredo_server::wire::encapsulation::{Authentication, OriginIndication};
use miredo_server::wire::icmp6::{ECHO_REPLY, ECHO_REQUEST, Echo};
use miredo_server::wire::ipv6::{Header, ICMP6};
use miredo_server::wire::put;
use platform::DATAGRAM_MAX;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::bodies;

/// One datagram as it could arrive, and the bits of the settings it meets (tests/fuzz/bodies.rs).
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) bits: u8,
    pub(crate) from: SocketAddrV4,
    pub(crate) bytes: Vec<u8>,
}

const PRIMARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Addresses that the rules name, beside some that they do not.
fn peer() -> BoxedStrategy<SocketAddrV4> {
    let named = [
        "203.0.113.9",
        "198.51.100.7",
        "192.0.2.1",
        "192.0.2.2",
        "198.51.100.99",
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.7.7",
        "0.0.0.0",
        "192.88.99.1",
        "224.0.0.251",
        "240.0.0.1",
        "255.255.255.255",
        "203.0.113.255",
        "100.64.0.1",
    ];
    let named = named.map(|address| address.parse().unwrap_or(Ipv4Addr::UNSPECIFIED));
    let address = prop_oneof![
        2 => Just(Ipv4Addr::new(203, 0, 113, 9)),
        2 => prop::sample::select(named.to_vec()),
        1 => any::<Ipv4Addr>(),
    ];
    let port = prop_oneof![4 => Just(40_000), 2 => Just(3544), 1 => Just(0), 1 => any::<u16>()];
    (address, port)
        .prop_map(|(address, port)| SocketAddrV4::new(address, port))
        .boxed()
}

fn teredo(mapped: BoxedStrategy<SocketAddrV4>) -> BoxedStrategy<Ipv6Addr> {
    let server = prop_oneof![3 => Just(PRIMARY), 1 => Just(Ipv4Addr::new(198, 51, 100, 1))];
    (server, any::<u16>(), mapped)
        .prop_map(|(server, flags, mapped)| {
            TeredoAddress {
                prefix: ServicePrefix::GLOBAL,
                server,
                flags,
                mapped,
            }
            .to_ipv6()
        })
        .boxed()
}

fn source(from: SocketAddrV4) -> BoxedStrategy<Ipv6Addr> {
    prop_oneof![
        6 => teredo(Just(from).boxed()),
        1 => teredo(peer()),
        3 => (any::<u16>(), peer()).prop_map(|(flags, mapped)| link_local(flags, mapped)),
        1 => Just(server_link_local(PRIMARY)),
        3 => native(),
    ]
    .boxed()
}

/// Addresses that are no Teredo client's, on both sides of the borders of what may be forwarded.
fn native() -> BoxedStrategy<Ipv6Addr> {
    let named = [
        "2001:db8::5",
        "2001:db8:53::1",
        "64:ff9b::1",
        "2001:2::1",
        "2001:10::1",
        "3fff::1",
        "4000::1",
        "::",
        "::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "fd00::1",
        "::ffff:192.0.2.9",
        "2002:a00:1::1",
        "2002:c633:6401::1",
        "2002:c000:201::1",
        "2002:c633:64ff::1",
    ];
    let named = named.map(|address| address.parse().unwrap_or(Ipv6Addr::UNSPECIFIED));
    prop_oneof![
        2 => Just(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 5)),
        4 => prop::sample::select(named.to_vec()),
        1 => any::<Ipv6Addr>(),
    ]
    .boxed()
}

fn destination(from: SocketAddrV4) -> BoxedStrategy<Ipv6Addr> {
    prop_oneof![
        3 => Just(ALL_ROUTERS),
        2 => Just(server_link_local(PRIMARY)),
        5 => teredo(peer()),
        1 => teredo(Just(from).boxed()),
        5 => native(),
    ]
    .boxed()
}

/// What an IPv6 packet is about.
#[derive(Clone, Debug)]
enum Content {
    Solicitation {
        hop_limit: u8,
    },
    Bubble,
    /// ICMPv6 that is not much of it.
    Message(Vec<u8>),
    Echo {
        is_request: bool,
        hop_limit: u8,
        data: Vec<u8>,
    },
}

fn content() -> BoxedStrategy<Content> {
    let data = prop_oneof![vec(any::<u8>(), 0..16), vec(any::<u8>(), 76..84)];
    prop_oneof![
        prop_oneof![4 => Just(255), 1 => any::<u8>()]
            .prop_map(|hop_limit| Content::Solicitation { hop_limit }),
        Just(Content::Bubble),
        vec(
            prop_oneof![0..3_u8, Just(128), Just(133), any::<u8>()],
            0..24
        )
        .prop_map(Content::Message),
        (any::<bool>(), prop_oneof![0..3_u8, any::<u8>()], data).prop_map(
            |(is_request, hop_limit, data)| Content::Echo {
                is_request,
                hop_limit,
                data
            }
        ),
    ]
    .boxed()
}

fn write(
    content: &Content,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    out: &mut [u8],
) -> Option<usize> {
    let left = match content {
        Content::Solicitation { hop_limit } => {
            let solicitation = RouterSolicitation {
                source,
                destination,
            };
            let left = solicitation.emit(out)?.len();
            // Behind the next header, and no part of the checksum.
            *out.get_mut(7)? = *hop_limit;
            return Some(left);
        }
        Content::Bubble => Header::bubble(source, destination).emit(out),
        Content::Message(message) => {
            let payload_len = u16::try_from(message.len()).ok()?;
            let header = Header {
                next_header: ICMP6,
                payload_len,
                hop_limit: 255,
                source,
                destination,
            };
            put(header.emit(out)?, message)
        }
        Content::Echo {
            is_request,
            hop_limit,
            data,
        } => {
            let kind = if *is_request {
                ECHO_REQUEST
            } else {
                ECHO_REPLY
            };
            Echo {
                kind,
                identifier: 1,
                sequence: 2,
                data,
            }
            .emit(out, source, destination, *hop_limit)
        }
    };
    left.map(|left| left.len())
}

/// What may stand in front of the packet.
fn front() -> BoxedStrategy<Vec<u8>> {
    let clients = bodies::CLIENTS.map(|(identifier, _)| identifier.to_vec());
    let identifier = prop_oneof![
        4 => Just(Vec::new()),
        4 => prop::sample::select(clients.to_vec()),
        1 => vec(any::<u8>(), 0..40)
    ];
    let value =
        prop_oneof![2 => Just(Vec::new()), 2 => Just(vec![0; 20]), 1 => vec(any::<u8>(), 0..40)];
    let confirmation = prop_oneof![Just(0), any::<u8>()];
    let authentication = prop::option::of((identifier, value, any::<[u8; 8]>(), confirmation));
    (authentication, prop::option::weighted(0.2, peer()))
        .prop_map(|(authentication, origin)| {
            let mut out = [0; 200];
            let mut left = out.len();
            if let Some((identifier, value, nonce, confirmation)) = authentication {
                let header = Authentication {
                    identifier: &identifier,
                    value: &value,
                    nonce,
                    confirmation,
                };
                left = header.emit(&mut out).map_or(left, |left| left.len());
            }
            let mut bytes: Vec<u8> = out.into_iter().take(out.len() - left).collect();
            if let Some(origin) = origin {
                let mut out = [0; OriginIndication::LEN];
                let _ = OriginIndication(origin).emit(&mut out);
                bytes.extend(out);
            }
            bytes
        })
        .boxed()
}

/// What may stand behind it: nothing, trailers, anything.
fn back() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        4 => Just(Vec::new()),
        1 => Just(vec![1, 4, 1, 2, 3, 4]),
        1 => (any::<u8>(), vec(any::<u8>(), 60..64)).prop_map(|(kind, value)| {
            let len = u8::try_from(value.len()).unwrap_or_default();
            [vec![kind, len], value].concat()
        }),
        1 => vec(any::<u8>(), 0..100),
    ]
    .boxed()
}

fn bits() -> BoxedStrategy<u8> {
    let bit = |bit, probability| {
        prop::bool::weighted(probability).prop_map(move |is_set| if is_set { bit } else { 0 })
    };
    (
        bit(bodies::PRIVATE, 0.3),
        bit(bodies::ONE_ADDRESS, 0.3),
        bit(bodies::SECONDARY, 0.3),
        bit(bodies::TRUNCATED, 0.01),
        bit(bodies::QUALIFIED, 0.5),
        bit(bodies::REQUIRED, 0.3),
        bit(bodies::SIGNED, 0.7),
    )
        .prop_map(|(a, b, c, d, e, f, g)| a | b | c | d | e | f | g)
        .boxed()
}

prop_compose! {
    /// A well-formed datagram that may break any of the rules about addresses and sizes.
    pub(crate) fn sensible()(from in peer(), bits in bits())(
        source in source(from), destination in destination(from), content in content(), front in front(), back in back(),
        from in Just(from), bits in Just(bits),
    ) -> Input {
        let mut out = [0; DATAGRAM_MAX];
        let left = write(&content, source, destination, &mut out).unwrap_or(out.len());
        let packet = out.into_iter().take(out.len() - left);
        let bytes = front.into_iter().chain(packet).chain(back).collect();
        Input { bits, from, bytes }
    }
}

prop_compose! {
    /// The same with a few bytes changed, the end cut off, or both.
    pub(crate) fn damaged()(
        input in sensible(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        keep in prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)],
    ) -> Input {
        let mut bytes = input.bytes;
        for (at, value) in changes {
            let at = at.index(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        Input { bytes, ..input }
    }
}

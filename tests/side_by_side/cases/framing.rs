//! What is around the packet in its datagram, and datagrams that are cut off or hold none (RFC 4380 section 5.1.1).

use std::net::SocketAddrV4;

use super::{Case, LINK_LAYER, LONGEST, NONCE, bubble, secured, solicitation};
use crate::packet::*;
use crate::rows::{FORWARDED_AGAIN, LONG_DATAGRAM, RA_AUTHENTICATION};

pub(crate) fn cases() -> Vec<Case> {
    [
        encapsulations(),
        lengths(),
        bubbles(),
        truncations(),
        not_teredo(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Headers in front of the packet, in every order and number.
fn encapsulations() -> Vec<Case> {
    let (auth, origin, packet) = (
        authentication(0, 0, NONCE, 0),
        origin(PEER),
        solicitation().bytes(),
    );
    let zero_origin = [0; 8];
    let heads: [(&str, Vec<&[u8]>); 8] = [
        ("authentication, origin indication", vec![&auth, &origin]),
        (
            "authentication, origin indication of zeroes",
            vec![&auth, &zero_origin],
        ),
        ("origin indication, authentication", vec![&origin, &auth]),
        ("two authentications", vec![&auth, &auth]),
        ("two origin indications", vec![&origin, &origin]),
        (
            "authentication, two origin indications",
            vec![&auth, &origin, &origin],
        ),
        (
            "authentication, origin indication, authentication",
            vec![&auth, &origin, &auth],
        ),
        ("an unknown header", vec![&[0, 2, 0, 0, 0, 0, 0, 0]]),
    ];
    let bare = [&origin[..], &packet].concat();
    let mut cases =
        vec![Case::new("solicitation behind origin indication", bare).row(&RA_AUTHENTICATION)];
    for (what, head) in heads {
        let bytes = [head.concat(), packet.clone()].concat();
        cases.push(Case::new(format!("solicitation behind {what}"), bytes));
    }
    for first in [1, 0x10, 0x50, 0x70, 0xff] {
        let bytes = [&[first, 0, 0, 0, 0, 0, 0, 0], &packet[..]].concat();
        cases.push(Case::new(
            format!("solicitation behind 8 octets that start with {first:#x}"),
            bytes,
        ));
    }
    cases
}

/// Payload lengths that disagree with the datagram, and what comes behind the packet.
fn lengths() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in [0u16, 1, 3, 4, 7, 9, 1280, u16::MAX] {
        let mut bytes = secured(&solicitation());
        bytes[17..19].copy_from_slice(&len.to_be_bytes());
        cases.push(Case::new(
            format!("solicitation whose payload length says {len}"),
            bytes,
        ));
    }
    for len in 4..8 {
        let packet = Packet::icmp6(
            NEWCOMER,
            ALL_ROUTERS,
            ROUTER_SOLICITATION,
            0,
            &[0; 4][..len - 4],
        );
        cases.push(Case::new(
            format!("solicitation of {len} octets"),
            secured(&packet),
        ));
    }
    let tails: [(&str, Vec<u8>); 7] = [
        ("1 octet", vec![0]),
        ("8 octets", vec![0; 8]),
        ("a nonce trailer", trailer(1, &[1, 2, 3, 4])),
        (
            "a link-layer address that belongs to no packet",
            LINK_LAYER.to_vec(),
        ),
        ("1,000 octets", vec![0xa5; 1000]),
        ("2,000 octets", vec![0xa5; 2000]),
        ("60,000 octets", vec![0xa5; 60_000]),
    ];
    for (what, tail) in tails {
        let bytes = [secured(&solicitation()), tail].concat();
        let long = bytes.len() > LONGEST;
        cases.push(
            Case::new(format!("solicitation followed by {what}"), bytes)
                .row_if(long, &LONG_DATAGRAM),
        );
    }
    cases
}

fn bubbles() -> Vec<Case> {
    let (auth, origin, bubble) = (authentication(0, 0, 7, 0), origin(PEER), bubble().bytes());
    let heads: [(&str, Vec<&[u8]>); 4] = [
        ("authentication", vec![&auth]),
        ("origin indication", vec![&origin]),
        ("authentication, origin indication", vec![&auth, &origin]),
        ("origin indication, authentication", vec![&origin, &auth]),
    ];
    heads
        .into_iter()
        .map(|(what, head)| {
            let again = what.ends_with("origin indication");
            Case::new(
                format!("bubble behind {what}"),
                [head.concat(), bubble.clone()].concat(),
            )
            .row_if(again, &FORWARDED_AGAIN)
        })
        .collect()
}

/// Every beginning of a solicitation and of a bubble, and nothing at all.
fn truncations() -> Vec<Case> {
    let wholes = [
        ("solicitation", secured(&solicitation())),
        ("bubble", bubble().bytes()),
    ];
    let beginnings = |(what, whole): (&str, Vec<u8>)| {
        let beginning = |len| {
            Case::new(
                format!("first {len} octets of a {what}"),
                whole[..len].to_vec(),
            )
        };
        (0..=whole.len()).map(beginning).collect::<Vec<_>>()
    };
    wholes.into_iter().flat_map(beginnings).collect()
}

/// Datagrams that hold no IPv6 packet.
fn not_teredo() -> Vec<Case> {
    let (auth, origin) = (
        authentication(0, 0, 9, 0),
        origin(SocketAddrV4::new(PRIMARY, PORT)),
    );
    let datagrams: [(&str, Vec<u8>); 10] = [
        ("authentication alone", auth.clone()),
        ("origin indication alone", origin.clone()),
        (
            "authentication and origin indication alone",
            [auth, origin].concat(),
        ),
        (
            "DNS query",
            b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x00\x00\x01\x00\x01"
                .to_vec(),
        ),
        ("text", b"GET / HTTP/1.0\r\n\r\n".to_vec()),
        ("40 zeroes", vec![0; 40]),
        ("40 ones", vec![0xff; 40]),
        ("1,280 zeroes", vec![0; 1280]),
        ("2,048 octets", vec![0x60; 2048]),
        ("65,507 octets", vec![0x60; 65_507]),
    ];
    datagrams
        .into_iter()
        .map(|(what, bytes)| Case::new(what, bytes))
        .collect()
}

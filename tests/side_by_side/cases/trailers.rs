//! Trailers (RFC 6081 section 4), and whatever else is put behind a packet.

use super::{Case, ECHO_LEN, LONGEST, echo_paths};
use crate::packet::*;
use crate::rows::{FORWARDED_AGAIN, ICMP6_VALIDITY, LONG_DATAGRAM, NATIVE_HEADER, TRAILERS};

pub(crate) fn cases() -> Vec<Case> {
    [bubbles(), echoes()].into_iter().flatten().collect()
}

fn bubbles() -> Vec<Case> {
    let nonce = trailer(1, &[1, 2, 3, 4]);
    let chains: [(&str, Vec<u8>); 12] = [
        ("a nonce trailer", nonce.clone()),
        ("two nonce trailers", nonce.repeat(2)),
        (
            "an alternate address trailer of length 8",
            trailer(3, &[0; 8]),
        ),
        (
            "an alternate address trailer of length 14",
            trailer(3, &[0; 14]),
        ),
        (
            "an alternate address trailer of length 20",
            trailer(3, &[0; 20]),
        ),
        (
            "an alternate address trailer of length 26",
            trailer(3, &[0; 26]),
        ),
        ("a neighbour discovery trailer", trailer(4, &[0; 4])),
        ("a random port trailer", trailer(5, &[0x12, 0x34])),
        ("an unknown trailer", trailer(0xee, &[1, 2, 3])),
        ("an unknown empty trailer", trailer(0xee, &[])),
        (
            "a chain of trailers",
            [nonce.clone(), trailer(5, &[0; 2]), trailer(3, &[0; 14])].concat(),
        ),
        ("a chain of 64 octets", trailer(0xee, &[0; 30]).repeat(2)),
    ];
    let tails: [(&str, Vec<u8>); 13] = [
        ("a nonce trailer of length 3", trailer(1, &[0; 3])),
        ("an alternate address trailer of length 0", trailer(3, &[])),
        (
            "an alternate address trailer of length 9",
            trailer(3, &[0; 9]),
        ),
        (
            "an alternate address trailer of length 32",
            trailer(3, &[0; 32]),
        ),
        (
            "a neighbour discovery trailer of length 5",
            trailer(4, &[0; 5]),
        ),
        ("a random port trailer of length 1", trailer(5, &[0])),
        (
            "a chain of 65 octets",
            [trailer(0xee, &[0; 30]), trailer(0xee, &[0; 31])].concat(),
        ),
        ("a trailer cut off", nonce[..5].to_vec()),
        ("a trailer whose length is missing", vec![1]),
        (
            "a trailer and half a second one",
            [nonce, vec![5, 2, 0]].concat(),
        ),
        ("1,000 octets that are no trailer", vec![0xa5; 1000]),
        ("1,900 octets that are no trailer", vec![0xa5; 1900]),
        ("60,000 octets that are no trailer", vec![0xa5; 60_000]),
    ];
    let mut cases = Vec::new();
    for (whom, destination) in [
        ("a client", ours(PEER)),
        ("another server's client", teredo(OTHER_SERVER, PEER)),
    ] {
        let with = |what: &str, tail: &[u8]| {
            let bytes = [&Packet::bubble(ours(CLIENT), destination).bytes(), tail].concat();
            Case::new(format!("bubble to {whom} with {what}"), bytes)
        };
        cases.extend(chains.iter().map(|(what, chain)| with(what, chain)));
        cases.extend(tails.iter().map(|(what, tail)| {
            let case = with(what, tail);
            let row = if case.bytes.len() > LONGEST {
                &LONG_DATAGRAM
            } else {
                &TRAILERS
            };
            case.row(row)
        }));
    }
    cases
}

/// The same behind an echo request, and headers in front of it.
fn echoes() -> Vec<Case> {
    let (auth, origin) = (authentication(0, 0, 7, 0), origin(PEER));
    let heads: [(&str, Vec<&[u8]>); 3] = [
        ("authentication", vec![&auth]),
        ("origin indication", vec![&origin]),
        ("authentication, origin indication", vec![&auth, &origin]),
    ];
    let tails = [
        ("1 octet", vec![0]),
        ("8 octets", vec![0xa5; 8]),
        ("1,000 octets", vec![0xa5; 1000]),
    ];
    let mut cases = Vec::new();
    for (path, source, destination) in echo_paths() {
        let echo = Packet::echo(source, destination, ECHO_REQUEST, ECHO_LEN).bytes();
        let is_native = destination == NATIVE;
        let surrounded = |what: &str, head: &[u8], tail: &[u8]| {
            Case::new(
                format!("echo request {what} {path}"),
                [head, &echo, tail].concat(),
            )
        };
        for (what, head) in &heads {
            let case = surrounded(&format!("behind {what}"), &head.concat(), &[]);
            cases.push(if what.ends_with("origin indication") {
                case.row(&FORWARDED_AGAIN)
            } else {
                case.row_if(is_native, &NATIVE_HEADER)
            });
        }
        cases.push(surrounded(
            "behind origin indication, authentication",
            &[&origin[..], &auth].concat(),
            &[],
        ));
        let chain = surrounded(
            "followed by a nonce trailer",
            &[],
            &trailer(1, &[1, 2, 3, 4]),
        );
        cases.push(chain.row_if(is_native, &NATIVE_HEADER));
        for (what, tail) in &tails {
            let row = if is_native { &NATIVE_HEADER } else { &TRAILERS };
            cases.push(surrounded(&format!("followed by {what}"), &[], tail).row(row));
        }
        cases.extend(payload_lengths(path, &echo, is_native));
    }
    cases
}

/// Payload lengths that do not reach to the end of the datagram, or beyond it.
fn payload_lengths(path: &str, echo: &[u8], is_native: bool) -> Vec<Case> {
    let says = |len: u16| {
        let mut bytes = echo.to_vec();
        bytes[4..6].copy_from_slice(&len.to_be_bytes());
        Case::new(
            format!("echo request whose payload length says {len} {path}"),
            bytes,
        )
    };
    // A shorter message is no echo, or its checksum is wrong; to Teredo clients, the checksum is theirs to judge.
    let shorter = if is_native {
        &ICMP6_VALIDITY
    } else {
        &TRAILERS
    };
    vec![
        says(0).row(&ICMP6_VALIDITY),
        says(3).row(&ICMP6_VALIDITY),
        says(7).row(&ICMP6_VALIDITY),
        says(8).row(shorter),
        says(15).row(shorter),
        says(17),
        says(u16::MAX),
    ]
}

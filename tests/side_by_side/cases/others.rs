//! ICMPv6 types and next headers that a server carries none of (RFC 4380 section 5.3.1).

use std::net::Ipv6Addr;

use super::Case;
use crate::packet::*;
use crate::rows::{ICMP6_TYPES, ICMP6_VALIDITY};

/// All but echo. Of the unassigned and private types, both classes have one (RFC 4443 section 2.1).
const KINDS: [(u8, &str); 20] = [
    (0, "reserved"),
    (1, "destination unreachable"),
    (2, "packet too big"),
    (3, "time exceeded"),
    (4, "parameter problem"),
    (100, "private error"),
    (127, "reserved error"),
    (130, "multicast listener query"),
    (131, "multicast listener report"),
    (132, "multicast listener done"),
    (133, "router solicitation"),
    (134, "router advertisement"),
    (135, "neighbour solicitation"),
    (136, "neighbour advertisement"),
    (137, "redirect"),
    (138, "router renumbering"),
    (139, "node information query"),
    (143, "multicast listener report 2"),
    (200, "private information"),
    (255, "reserved information"),
];

pub(crate) fn cases() -> Vec<Case> {
    [types(), next_headers(), extension_headers()]
        .into_iter()
        .flatten()
        .collect()
}

/// The last one carries nothing further.
fn paths() -> [(&'static str, Ipv6Addr, Ipv6Addr); 6] {
    [
        ("from client to client", ours(CLIENT), ours(PEER)),
        (
            "to another server's client",
            ours(CLIENT),
            teredo(OTHER_SERVER, PEER),
        ),
        ("to native", ours(CLIENT), NATIVE),
        ("from native to a client", NATIVE, ours(PEER)),
        ("from link-local to a client", NEWCOMER, ours(PEER)),
        (
            "to the server itself",
            ours(CLIENT),
            server_link_local(PRIMARY),
        ),
    ]
}

fn types() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, what) in KINDS {
        for (path, source, destination) in paths() {
            let to_server = destination == server_link_local(PRIMARY);
            if kind == ROUTER_SOLICITATION && to_server {
                continue; // A solicitation like any other.
            }
            let bytes = Packet::icmp6(source, destination, kind, 0, &[0; 20]).bytes();
            cases.push(
                Case::new(format!("ICMPv6 {what} ({kind}) {path}"), bytes)
                    .row_if(!to_server, &ICMP6_TYPES),
            );
        }
        if kind != ROUTER_SOLICITATION {
            let bytes = Packet::icmp6(NEWCOMER, ALL_ROUTERS, kind, 0, &[0; 20]).bytes();
            cases.push(Case::new(
                format!("ICMPv6 {what} ({kind}) from link-local to all routers"),
                bytes,
            ));
        }
    }
    for len in 0..4 {
        for (path, source, destination) in paths() {
            let packet = Packet {
                payload: vec![128; len],
                ..Packet::echo(source, destination, 128, 8)
            };
            let forwarded = destination != server_link_local(PRIMARY);
            let case = Case::new(format!("ICMPv6 of {len} octets {path}"), packet.bytes());
            cases.push(case.row_if(forwarded, &ICMP6_VALIDITY));
        }
    }
    cases
}

fn next_headers() -> Vec<Case> {
    let mut cases = Vec::new();
    for next_header in [
        0, 1, 2, 4, 6, 17, 41, 43, 44, 50, 51, 60, 132, 135, 253, 255,
    ] {
        for (path, source, destination) in paths() {
            let filled = Packet::echo(source, destination, 128, 20).next_header(next_header);
            cases.push(Case::new(
                format!("next header {next_header} {path}"),
                filled.bytes(),
            ));
            let empty = Packet::bubble(source, destination).next_header(next_header);
            cases.push(Case::new(
                format!("next header {next_header} without payload {path}"),
                empty.bytes(),
            ));
        }
    }
    cases
}

/// An echo request or a solicitation behind an extension header (RFC 8200 section 4).
fn extension_headers() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, extension) in [
        ("hop-by-hop", 0),
        ("destination options", 60),
        ("fragment", 44),
        ("routing", 43),
    ] {
        for (path, source, destination) in paths() {
            let mut packet = Packet::echo(source, destination, 128, 16).next_header(extension);
            packet.payload.splice(0..0, [ICMP6, 0, 1, 4, 0, 0, 0, 0]);
            cases.push(Case::new(
                format!("echo request behind {what} header {path}"),
                packet.bytes(),
            ));
        }
        let mut packet = Packet::solicitation(NEWCOMER, &[]).next_header(extension);
        packet.payload.splice(0..0, [ICMP6, 0, 1, 4, 0, 0, 0, 0]);
        let bytes = [authentication(0, 0, 9, 0), packet.bytes()].concat();
        cases.push(Case::new(
            format!("solicitation behind {what} header"),
            bytes,
        ));
    }
    cases
}

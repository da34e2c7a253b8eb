//! Bubbles (RFC 4380 section 2.8): who sends them to whom, and what makes one.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use super::{ADDRESSES, Case, bubble, only_ours_refuses};
use crate::bench::UPLINK;
use crate::packet::*;
use crate::rows::{BACK_TO_SENDER, GLOBAL_IPV4, NATIVE_BUBBLES, OWN_ADDRESS, SOURCE_SCOPE};

pub(crate) fn cases() -> Vec<Case> {
    [directions(), mapped_addresses(), flags(), shapes()]
        .into_iter()
        .flatten()
        .collect()
}

/// Every kind of source to every kind of destination.
fn directions() -> Vec<Case> {
    let elsewhere = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 77), CLIENT.port());
    let sources = [
        ("own Teredo", ours(CLIENT)),
        ("own Teredo of another server", teredo(OTHER_SERVER, CLIENT)),
        (
            "own Teredo of another prefix",
            teredo_with(0x2001_0001, PRIMARY, 0, CLIENT),
        ),
        (
            "Teredo with another port",
            ours(SocketAddrV4::new(*CLIENT.ip(), CLIENT.port() + 1)),
        ),
        ("Teredo with another address", ours(elsewhere)),
        (
            "Teredo of another server with another address",
            teredo(OTHER_SERVER, elsewhere),
        ),
        ("link-local", NEWCOMER),
        ("cone link-local", CONE_NEWCOMER),
        ("the server's link-local", server_link_local(PRIMARY)),
        ("native", NATIVE),
        ("6to4", six_to_four(*CLIENT.ip())),
        ("unique local", ip6("fd00::1")),
        ("site-local", ip6("fec0::1")),
        ("multicast", ip6("ff0e::1")),
        ("unspecified", Ipv6Addr::UNSPECIFIED),
        ("loopback", Ipv6Addr::LOCALHOST),
        ("IPv4-mapped", CLIENT.ip().to_ipv6_mapped()),
        ("6to4 of a private address", ip6("2002:a00:1::1")),
        ("6to4 of the server's address", six_to_four(PRIMARY)),
        ("NAT64", ip6("64:ff9b::c633:640a")),
        ("outside 2000::/3", ip6("4000::1")),
        ("the server's uplink", UPLINK),
    ];
    let nobody = [
        "the server's link-local",
        "unique local",
        "site-local",
        "multicast",
        "unspecified",
        "loopback",
        "IPv4-mapped",
        "6to4 of a private address",
        "6to4 of the server's address",
        "NAT64",
        "outside 2000::/3",
    ];
    let other_prefix = teredo_with(0x2001_0001, PRIMARY, 0, PEER);
    let destinations = [
        ("a client of ours", ours(PEER)),
        ("a client of the secondary address", teredo(SECONDARY, PEER)),
        ("a client of another server", teredo(OTHER_SERVER, PEER)),
        ("a client of another prefix", other_prefix),
        ("native", NATIVE),
        ("all routers", ALL_ROUTERS),
        ("the server's link-local", server_link_local(PRIMARY)),
        ("another link-local", NEWCOMER),
    ];
    let mut cases = Vec::new();
    for (who, source) in sources {
        for (whom, destination) in destinations {
            let from_client = [ours(CLIENT), teredo(OTHER_SERVER, CLIENT)].contains(&source);
            let to_native = [NATIVE, other_prefix].contains(&destination);
            let case = Case::new(
                format!("bubble from {who} to {whom}"),
                Packet::bubble(source, destination).bytes(),
            );
            let to_ours = destination == ours(PEER);
            cases.push(if to_ours && nobody.contains(&who) {
                case.row(&SOURCE_SCOPE)
            } else {
                case.row_if(from_client && to_native, &NATIVE_BUBBLES)
            });
        }
    }
    for (who, source) in [
        ("own Teredo", ours(CLIENT)),
        ("link-local", NEWCOMER),
        ("native", NATIVE),
    ] {
        let bytes = Packet::bubble(source, ours(PEER)).bytes();
        cases.push(
            Case::new(
                format!("bubble from {who} to a client of ours at the secondary"),
                bytes,
            )
            .to(SECONDARY),
        );
    }
    cases
}

/// Where the destination says that its client is (RFC 4380 section 5.2.4).
fn mapped_addresses() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, address) in ADDRESSES {
        for (whose, server) in [("ours", PRIMARY), ("another server", OTHER_SERVER)] {
            let destination = teredo(server, SocketAddrV4::new(address, PEER.port()));
            let bytes = Packet::bubble(ours(CLIENT), destination).bytes();
            let case = Case::new(
                format!("bubble to a client of {whose} at {address}, {what}"),
                bytes,
            );
            cases.push(case.row_if(only_ours_refuses(address), &GLOBAL_IPV4));
        }
    }
    let sockets = [
        ("port 0", SocketAddrV4::new(*PEER.ip(), 0)),
        ("port 1", SocketAddrV4::new(*PEER.ip(), 1)),
        ("port 65535", SocketAddrV4::new(*PEER.ip(), u16::MAX)),
        ("the Teredo port", SocketAddrV4::new(*PEER.ip(), PORT)),
        ("the sender itself", CLIENT),
        ("the primary address", SocketAddrV4::new(PRIMARY, PORT)),
        ("the secondary address", SocketAddrV4::new(SECONDARY, PORT)),
        (
            "another port of the primary address",
            SocketAddrV4::new(PRIMARY, 1),
        ),
        (
            "another port of the secondary address",
            SocketAddrV4::new(SECONDARY, 1),
        ),
    ];
    for (what, mapped) in sockets {
        for (whose, server) in [("ours", PRIMARY), ("another server", OTHER_SERVER)] {
            let bytes = Packet::bubble(ours(CLIENT), teredo(server, mapped)).bytes();
            let own = [PRIMARY, SECONDARY].contains(mapped.ip());
            let case = Case::new(format!("bubble to a client of {whose} at {what}"), bytes);
            cases.push(if mapped == CLIENT {
                case.row(&BACK_TO_SENDER)
            } else {
                case.row_if(own, &OWN_ADDRESS)
            });
        }
    }
    cases
}

/// Bits 64-79 of the address; RFC 5991 made most of them random.
fn flags() -> Vec<Case> {
    let mut cases = Vec::new();
    for flags in [0x8000, 0x4000, 0x0200, 0x0100, 0x3cff, 0x7fff, 0xffff] {
        let source = teredo_with(0x2001_0000, PRIMARY, flags, CLIENT);
        let destination = teredo_with(0x2001_0000, PRIMARY, flags, PEER);
        cases.push(Case::new(
            format!("bubble from flags {flags:#06x}"),
            Packet::bubble(source, ours(PEER)).bytes(),
        ));
        let bytes = Packet::bubble(ours(CLIENT), destination).bytes();
        cases.push(Case::new(format!("bubble to flags {flags:#06x}"), bytes));
    }
    cases
}

/// What makes a bubble, and what does not.
fn shapes() -> Vec<Case> {
    let mut cases = Vec::new();
    for hop_limit in [1, 2, 64, 255] {
        let bytes = bubble().hop_limit(hop_limit).bytes();
        cases.push(Case::new(
            format!("bubble with hop limit {hop_limit}"),
            bytes,
        ));
    }
    for len in [1, 4, 8, 88, 1000] {
        let packet = Packet {
            payload: vec![0; len],
            ..bubble()
        };
        cases.push(Case::new(
            format!("no next header, {len} octets of payload"),
            packet.bytes(),
        ));
    }
    for len in [1u16, 8, 40, u16::MAX] {
        let mut bytes = bubble().bytes();
        bytes[4..6].copy_from_slice(&len.to_be_bytes());
        cases.push(Case::new(
            format!("bubble whose payload length says {len}"),
            bytes,
        ));
    }
    for first in [0x00, 0x40, 0x45, 0x50, 0x6f, 0x70] {
        let mut bytes = bubble().bytes();
        bytes[0] = first;
        cases.push(Case::new(
            format!("bubble that starts with {first:#04x}"),
            bytes,
        ));
    }
    let mut labelled = bubble().bytes();
    labelled[1..4].copy_from_slice(&[0xff, 0xff, 0xff]);
    cases.push(Case::new("bubble with a flow label", labelled));
    cases
}

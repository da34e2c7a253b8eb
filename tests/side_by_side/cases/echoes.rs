//! Echo requests and replies (RFC 4443 section 4) from anybody to anybody.

use std::net::{Ipv6Addr, SocketAddrV4};

use super::{ADDRESSES, Case, ECHO_LEN, ECHOES, echo_paths, only_ours_refuses};
use crate::packet::*;
use crate::rows::{
    BACK_TO_SENDER, GLOBAL_IPV4, ICMP6_VALIDITY, NATIVE_HEADER, NATIVE_HOP_LIMIT, OWN_ADDRESS,
    SOURCE_SCOPE,
};

pub(crate) fn cases() -> Vec<Case> {
    [directions(), mapped_addresses(), sizes(), fields()]
        .into_iter()
        .flatten()
        .collect()
}

fn directions() -> Vec<Case> {
    let clients = [
        ("own Teredo", ours(CLIENT)),
        (
            "own cone Teredo",
            teredo_with(0x2001_0000, PRIMARY, 0x8000, CLIENT),
        ),
        ("own Teredo of another server", teredo(OTHER_SERVER, CLIENT)),
        (
            "own Teredo of the secondary address",
            teredo(SECONDARY, CLIENT),
        ),
    ];
    let others = [
        (
            "Teredo with another port",
            ours(SocketAddrV4::new(*CLIENT.ip(), CLIENT.port() + 1)),
        ),
        (
            "Teredo with another address",
            ours(SocketAddrV4::new(*PEER.ip(), CLIENT.port())),
        ),
        ("link-local", NEWCOMER),
        ("native", NATIVE),
        ("unspecified", Ipv6Addr::UNSPECIFIED),
        ("loopback", Ipv6Addr::LOCALHOST),
        ("multicast", ip6("ff0e::1")),
    ];
    let destinations = [
        ("a client of ours", ours(PEER), false),
        (
            "a client of another server",
            teredo(OTHER_SERVER, PEER),
            false,
        ),
        (
            "a client of another prefix",
            teredo_with(0x2001_0001, PRIMARY, 0, PEER),
            true,
        ),
        ("native", NATIVE, true),
    ];
    let mut cases = Vec::new();
    for (what, kind) in ECHOES {
        for (who, source) in clients.into_iter().chain(others) {
            let is_client = clients.iter().any(|(_, client)| *client == source);
            for (whom, destination, is_native) in destinations {
                for to in [PRIMARY, SECONDARY] {
                    let bytes = Packet::echo(source, destination, kind, ECHO_LEN).bytes();
                    let case =
                        Case::new(format!("{what} from {who} to {whom} at {to}"), bytes).to(to);
                    let nobody = destination == ours(PEER)
                        && ["link-local", "unspecified", "loopback", "multicast"].contains(&who);
                    cases.push(if nobody {
                        case.row(&SOURCE_SCOPE)
                    } else {
                        case.row_if(is_client && is_native, &NATIVE_HEADER)
                    });
                }
            }
        }
    }
    cases
}

fn mapped_addresses() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, address) in ADDRESSES {
        let destination = ours(SocketAddrV4::new(address, PEER.port()));
        let bytes = Packet::echo(NATIVE, destination, ECHO_REQUEST, ECHO_LEN).bytes();
        let case = Case::new(
            format!("echo request from native to a client at {address}, {what}"),
            bytes,
        );
        cases.push(case.row_if(only_ours_refuses(address), &GLOBAL_IPV4));
    }
    let sockets = [
        ("port 0", SocketAddrV4::new(*PEER.ip(), 0), None),
        ("the sender", CLIENT, Some(&BACK_TO_SENDER)),
        (
            "the primary address",
            SocketAddrV4::new(PRIMARY, PORT),
            Some(&OWN_ADDRESS),
        ),
        (
            "the secondary address",
            SocketAddrV4::new(SECONDARY, PORT),
            Some(&OWN_ADDRESS),
        ),
    ];
    for (what, mapped, row) in sockets {
        let bytes = Packet::echo(NATIVE, ours(mapped), ECHO_REQUEST, ECHO_LEN).bytes();
        let case = Case::new(
            format!("echo request from native to a client at {what}"),
            bytes,
        );
        cases.push(match row {
            Some(row) => case.row(row),
            None => case,
        });
    }
    cases
}

fn sizes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, source, destination) in echo_paths() {
        for (kind_name, kind) in ECHOES {
            for len in [4, 7, 8, 9, 87, 88, 89, 128, 1240, 1400, 1900] {
                let bytes = Packet::echo(source, destination, kind, len).bytes();
                let case = Case::new(format!("{kind_name} of {len} octets {what}"), bytes);
                cases.push(match len {
                    ..8 => case.row(&ICMP6_VALIDITY),
                    8..=88 => case.row_if(destination == NATIVE, &NATIVE_HEADER),
                    _ => case,
                });
            }
        }
    }
    cases
}

fn fields() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, source, destination) in echo_paths() {
        let echo = Packet::echo(source, destination, ECHO_REQUEST, ECHO_LEN);
        let is_native = destination == NATIVE;
        for hop_limit in [0, 1, 2, 3, 128, 255] {
            let bytes = echo.clone().hop_limit(hop_limit).bytes();
            let row = if hop_limit < 2 {
                &NATIVE_HOP_LIMIT
            } else {
                &NATIVE_HEADER
            };
            let case = Case::new(
                format!("echo request with hop limit {hop_limit} {what}"),
                bytes,
            );
            cases.push(case.row_if(is_native, row));
        }
        for (sum_name, sum) in [
            ("of zero", [0, 0]),
            ("of ones", [0xff, 0xff]),
            ("that is wrong", [0x12, 0x34]),
        ] {
            let mut packet = echo.clone();
            packet.payload[2..4].copy_from_slice(&sum);
            let case = Case::new(
                format!("echo request with a checksum {sum_name} {what}"),
                packet.bytes(),
            );
            cases.push(case.row_if(is_native, &ICMP6_VALIDITY));
        }
        for code in [1, 255] {
            let packet = Packet::icmp6(source, destination, ECHO_REQUEST, code, &[0; ECHO_LEN - 4]);
            let case = Case::new(
                format!("echo request with code {code} {what}"),
                packet.bytes(),
            );
            cases.push(case.row_if(is_native, &NATIVE_HEADER));
        }
        let mut labelled = echo.bytes();
        labelled[..4].copy_from_slice(&[0x6a, 0xbc, 0xde, 0xf0]);
        let case = Case::new(
            format!("echo request with traffic class and flow label {what}"),
            labelled,
        );
        cases.push(case.row_if(is_native, &NATIVE_HEADER));
        for first in [0x00, 0x45, 0x70] {
            let mut bytes = echo.bytes();
            bytes[0] = first;
            cases.push(Case::new(
                format!("echo request that starts with {first:#04x} {what}"),
                bytes,
            ));
        }
    }
    cases
}

//! Router Solicitations (RFC 4380 sections 5.2.1 and 5.3.1): who asks whom, and with what authentication header.

use std::net::{Ipv6Addr, SocketAddrV4};

use super::{Case, NONCE, secured, solicitation};
use crate::packet::*;
use crate::rows::{ICMP6_TYPES, RA_AUTHENTICATION};

pub(crate) fn cases() -> Vec<Case> {
    [addressing(), destinations(), forwarded(), authentications()]
        .into_iter()
        .flatten()
        .collect()
}

/// Who asks, with or without an authentication header, at which address.
fn addressing() -> Vec<Case> {
    let wrong_port = SocketAddrV4::new(*CLIENT.ip(), CLIENT.port() ^ 1);
    let wrong_address = SocketAddrV4::new(*PEER.ip(), CLIENT.port());
    let answered = [
        ("link-local", NEWCOMER),
        ("cone link-local", CONE_NEWCOMER),
        ("link-local with random flags", ip6("fe80::3cff:1:2:3")),
        ("link-local with all flags", ip6("fe80::ffff:1:2:3")),
        ("link-local outside fe80::/64", ip6("fe80:1:2:3:0:1:2:3")),
        (
            "link-local at the end of fe80::/10",
            ip6("febf:1:2:3:0:1:2:3"),
        ),
        ("the server's link-local", server_link_local(PRIMARY)),
        ("own Teredo", ours(CLIENT)),
        (
            "own Teredo with the cone bit",
            teredo_with(0x2001_0000, PRIMARY, 0x8000, CLIENT),
        ),
        (
            "own Teredo with random flags",
            teredo_with(0x2001_0000, PRIMARY, 0x3c5a, CLIENT),
        ),
        ("Teredo of the secondary address", teredo(SECONDARY, CLIENT)),
        ("Teredo of another server", teredo(OTHER_SERVER, CLIENT)),
    ];
    let ignored = [
        ("Teredo with another port", ours(wrong_port)),
        ("Teredo with another address", ours(wrong_address)),
        (
            "Teredo of another prefix",
            teredo_with(0x2001_0001, PRIMARY, 0, CLIENT),
        ),
        (
            "Teredo of the trial prefix",
            teredo_with(0x3ffe_831f, PRIMARY, 0, CLIENT),
        ),
        ("unspecified", Ipv6Addr::UNSPECIFIED),
        ("loopback", Ipv6Addr::LOCALHOST),
        ("native", NATIVE),
        ("site-local", ip6("fec0::1")),
        ("multicast", ip6("ff02::1")),
    ];
    let sources = answered
        .map(|(who, source)| (who, source, true))
        .into_iter();
    let sources = sources.chain(ignored.map(|(who, source)| (who, source, false)));
    let mut cases = Vec::new();
    for (who, source, answered) in sources {
        for to in [PRIMARY, SECONDARY] {
            let packet = Packet::solicitation(source, &[]);
            cases.push(
                Case::new(format!("solicitation from {who} to {to}"), secured(&packet)).to(to),
            );
            let bare = Case::new(
                format!("bare solicitation from {who} to {to}"),
                packet.bytes(),
            )
            .to(to);
            cases.push(bare.row_if(answered, &RA_AUTHENTICATION));
        }
    }
    cases
}

fn destinations() -> Vec<Case> {
    let destinations = [
        ("the server's link-local", server_link_local(PRIMARY)),
        ("the secondary's link-local", server_link_local(SECONDARY)),
        ("another link-local", ip6("fe80::1")),
        ("link-local all-nodes", ip6("ff02::1")),
        ("interface-local all-routers", ip6("ff01::2")),
        ("site-local all-routers", ip6("ff05::2")),
        ("unspecified", Ipv6Addr::UNSPECIFIED),
    ];
    let sources = [
        ("link-local", NEWCOMER),
        ("cone link-local", CONE_NEWCOMER),
        ("own Teredo", ours(CLIENT)),
    ];
    let mut cases = Vec::new();
    for (what, destination) in destinations {
        for (who, source) in sources {
            for to in [PRIMARY, SECONDARY] {
                let packet = Packet::icmp6(source, destination, ROUTER_SOLICITATION, 0, &[0; 4]);
                cases.push(
                    Case::new(
                        format!("solicitation from {who} to {what} at {to}"),
                        secured(&packet),
                    )
                    .to(to),
                );
            }
        }
    }
    cases
}

/// To whom the C server forwards what RFC 4380 section 5.3.1 lets it accept.
fn forwarded() -> Vec<Case> {
    let sources = [
        ("link-local", NEWCOMER),
        ("cone link-local", CONE_NEWCOMER),
        ("own Teredo", ours(CLIENT)),
    ];
    let forwarded = [
        (
            "the server's Teredo address",
            ours(SocketAddrV4::new(PRIMARY, 3544)),
            true,
        ),
        ("a client of ours", ours(PEER), true),
        (
            "a client of another server",
            teredo(OTHER_SERVER, PEER),
            false,
        ),
        ("native", NATIVE, false),
    ];
    let mut cases = Vec::new();
    for (what, destination, from_anybody) in forwarded {
        for (who, source) in sources {
            for to in [PRIMARY, SECONDARY] {
                let packet = Packet::icmp6(source, destination, ROUTER_SOLICITATION, 0, &[0; 4]);
                let case = Case::new(
                    format!("solicitation from {who} to {what} at {to}"),
                    secured(&packet),
                )
                .to(to);
                cases.push(case.row_if(from_anybody || source == ours(CLIENT), &ICMP6_TYPES));
            }
        }
    }
    cases
}

fn authentications() -> Vec<Case> {
    let mut cases = Vec::new();
    for (id, au) in [
        (0, 0),
        (1, 0),
        (0, 1),
        (16, 20),
        (255, 0),
        (0, 255),
        (255, 255),
    ] {
        for confirmation in [0, 1, 255] {
            let bytes = [
                authentication(id, au, NONCE, confirmation),
                solicitation().bytes(),
            ]
            .concat();
            let name = format!(
                "solicitation with {id} octets of id, {au} of signature, confirmation {confirmation}"
            );
            cases.push(Case::new(name, bytes));
        }
    }
    for nonce in [0, u64::MAX] {
        let bytes = [authentication(0, 0, nonce, 0), solicitation().bytes()].concat();
        cases.push(Case::new(
            format!("solicitation with nonce {nonce:x}"),
            bytes,
        ));
    }
    cases
}

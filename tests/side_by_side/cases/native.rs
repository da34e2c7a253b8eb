//! Where a client may send its echo on the native IPv6 Internet (RFC 4380 sections 5.2.9 and 5.3.1).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{ADDRESSES, Case, ECHO_LEN, ECHOES};
use crate::bench::UPLINK;
use crate::packet::*;
use crate::rows::{NATIVE_HEADER, NATIVE_SCOPE, OWN_ADDRESS};

pub(crate) fn cases() -> Vec<Case> {
    let refused = [
        ("unspecified", Ipv6Addr::UNSPECIFIED),
        ("loopback", Ipv6Addr::LOCALHOST),
        ("link-local", ip6("fe80::1")),
        ("the last link-local", ip6("febf:ffff::1")),
        ("interface-local multicast", ip6("ff01::1")),
        ("link-local multicast", ip6("ff02::1")),
        ("all routers", ALL_ROUTERS),
        ("global multicast", ip6("ff0e::1")),
    ];
    let local = [
        ("site-local", ip6("fec0::1")),
        ("the last site-local", ip6("feff:ffff::1")),
        ("unique local fc00::", ip6("fc00::1")),
        ("unique local fd00::", ip6("fdff::1")),
        ("IPv4-mapped", PEER.ip().to_ipv6_mapped()),
        ("IPv4-compatible", ip6("::cb00:7114")),
        ("NAT64", ip6("64:ff9b::cb00:7114")),
        ("a site's NAT64", ip6("64:ff9b:1::a00:1")),
        ("discard-only", ip6("100::1")),
        ("benchmarks", ip6("2001:2::1")),
        ("ORCHID", ip6("2001:10::1")),
        ("outside 2000::/3", ip6("4000::1")),
        ("e000::/3", ip6("e000::1")),
    ];
    let forwarded = [
        (
            "the trial Teredo prefix",
            teredo_with(0x3ffe_831f, PRIMARY, 0, PEER),
        ),
        ("the last of 2000::/3", ip6("3fff:ffff::1")),
    ];
    let to = |what: &str, destination, kind| {
        Case::new(
            format!("echo (type {kind}) to {what}"),
            Packet::echo(ours(CLIENT), destination, kind, ECHO_LEN).bytes(),
        )
    };
    let mut cases = Vec::new();
    for (_, kind) in ECHOES {
        cases.extend(refused.map(|(what, destination)| to(what, destination, kind)));
        cases.extend(
            local.map(|(what, destination)| to(what, destination, kind).row(&NATIVE_SCOPE)),
        );
        cases.extend(
            forwarded.map(|(what, destination)| to(what, destination, kind).row(&NATIVE_HEADER)),
        );
        cases.push(to("the server's uplink", UPLINK, kind).row(&OWN_ADDRESS));
        cases.push(to("6to4 of the server", six_to_four(PRIMARY), kind).row(&NATIVE_SCOPE));
    }
    cases.extend(ADDRESSES.map(|(what, address)| {
        let row = if is_global(address) {
            &NATIVE_HEADER
        } else {
            &NATIVE_SCOPE
        };
        to(
            &format!("6to4 of {address}, {what}"),
            six_to_four(address),
            ECHO_REQUEST,
        )
        .row(row)
    }));
    cases
}

/// RFC 4380 section 5.2.4, with the directed broadcast of the server's link, and 240/4.
fn is_global(address: Ipv4Addr) -> bool {
    let local = address.is_private() || address.is_loopback() || address.is_link_local();
    let broadcast = address == Ipv4Addr::new(192, 0, 2, 255);
    !local && !broadcast && !matches!(address.octets(), [0 | 224.., ..] | [192, 88, 99, _])
}

//! What strangers cannot make the server do to others, or to its own host (RFC 4380 section 7.4), on real hosts and cables.
//!
//! [`internet`] has the picture, and an echo service (RFC 862). Root only.
#![cfg(test)] // Clippy lets test code panic where it says so.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow fails the test, as it should"
)]

mod internet;
#[path = "../lab/mod.rs"]
mod lab;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use internet::{
    HOST6, INSIDE, Internet, NAT, PRIMARY, SECOND, SERVICE, SERVICE_TOO, STRANGER, Service, ask,
    bubble, echo, socket, teredo,
};
use lab::{DEADLINE, wait_until};
use miredo_server::wire::icmp6::{ECHO_REPLY, ECHO_REQUEST};

const TOOLS: [&str; 2] = ["ip", "nft"];
/// Some other operator's server.
const OTHER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 200);
/// A node that says it is a relay, or one that a client talks to.
const NATIVE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 1);

fn at(address: Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(address, port)
}

#[test]
fn an_echo_service_is_sent_a_packet_once() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new();
    let _server = internet.start_server("");
    let service = Service::start(&internet.net, at(SERVICE, 7));
    let client = teredo(PRIMARY, at(SERVICE, 7));
    for (sent, packet) in [
        (1, bubble(NATIVE, client)),
        (2, echo(ECHO_REQUEST, NATIVE, client)),
        (3, echo(ECHO_REPLY, NATIVE, client)),
    ] {
        internet.send(&packet);
        wait_until("the packet", DEADLINE, || service.heard() >= sent);
        internet.settle();
        assert_eq!(service.heard(), sent);
    }
}

#[test]
fn nothing_is_forwarded_to_where_it_came_from() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new();
    let _server = internet.start_server("");
    let service = Service::start(&internet.net, at(SERVICE, 7));
    for server in [PRIMARY, OTHER] {
        let client = teredo(server, at(SERVICE, 7));
        // As one who forges addresses.
        service.send(&bubble(client, client));
    }
    internet.settle();
    assert_eq!(service.heard(), 0);
}

/// It answers from another port than it was asked at, so that no comparison of ports tells.
#[test]
fn an_echo_service_behind_a_nat_is_sent_a_packet_once() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new();
    let _server = internet.start_server("");
    let service = Service::start(&internet.inside, at(INSIDE, 7));
    let client = teredo(PRIMARY, at(NAT, 4007));
    internet.send(&bubble(NATIVE, client));
    wait_until("a bubble", DEADLINE, || service.heard() > 0);
    internet.settle();
    assert_eq!(service.heard(), 1);
}

/// One that answers from another address is taken for another client by rule 5, if the first packet forges that address; so
/// what goes to a client of another server has to be known again, too.
#[test]
fn an_echo_service_with_two_addresses_is_sent_a_packet_once() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new();
    let _server = internet.start_server("");
    for (server, port) in [(PRIMARY, 7), (OTHER, 8)] {
        let (asked, answers) = (at(SERVICE, port), at(SERVICE_TOO, port));
        let service = Service::start_twofold(&internet.net, asked, answers);
        service.send(&bubble(teredo(server, answers), teredo(server, asked)));
        wait_until("the bubble", DEADLINE, || service.heard() > 0);
        internet.settle();
        assert_eq!(service.heard(), 1, "a client of {server}");
    }
}

#[test]
fn what_listens_on_this_host_is_sent_nothing() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new();
    let _server = internet.start_server("");
    for (address, port) in [(PRIMARY, 7), (SECOND, 53), (Ipv4Addr::LOCALHOST, 53)] {
        let service = Service::start(&internet.server, at(address, port));
        let client = teredo(PRIMARY, STRANGER);
        for (source, server) in [(NATIVE, PRIMARY), (client, PRIMARY), (client, OTHER)] {
            let own = teredo(server, at(address, port));
            internet.send(&bubble(source, own));
        }
        internet.settle();
        assert_eq!(service.heard(), 0, "{address}:{port}");
    }
}

#[test]
fn a_laboratory_may_have_clients_on_this_host() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new();
    let _server = internet.start_server("AllowPrivateAddresses yes\n");
    let service = Service::start(&internet.server, at(PRIMARY, 4500));
    let client = teredo(PRIMARY, at(PRIMARY, 4500));
    internet.send(&bubble(NATIVE, client));
    wait_until("the bubble", DEADLINE, || service.heard() > 0);
    internet.settle();
    assert_eq!(service.heard(), 1);
}

/// Who tests the server where it runs, and a relay on the same host.
#[test]
fn this_host_is_served_as_others_are() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new();
    let _server = internet.start_server("");
    let service = Service::start(&internet.net, at(SERVICE, 4500));
    let client = teredo(PRIMARY, at(SERVICE, 4500));
    ask(&socket(&internet.server, at(PRIMARY, 5000)));
    let relay = socket(&internet.server, at(PRIMARY, 3545));
    relay
        .send_to(&bubble(HOST6, client), (PRIMARY, 3544))
        .unwrap();
    wait_until("the relay's bubble", DEADLINE, || service.heard() > 0);
}

#[test]
fn no_echo_reaches_this_hosts_own_ipv6_addresses() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new();
    let mut server = internet.start_server("");
    let late = Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 7);
    // That of the network's routers, which this host may be (RFC 4291 section 2.6.1).
    let anycast = Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 0);
    internet.server.forward();
    let pinged = |addresses: &[Ipv6Addr]| {
        let before = internet.pings();
        for address in addresses {
            internet.ping(*address);
        }
        internet.settle();
        internet.pings() - before
    };
    assert_eq!(pinged(&[HOST6, anycast]), 0);
    internet.server.address("wan", &format!("{late}/64"));
    assert_eq!(pinged(&[late]), 1, "the addresses are those at start");
    server.reload();
    server
        .process()
        .wait_for_output("configuration reloaded", DEADLINE);
    assert_eq!(pinged(&[HOST6, late, anycast]), 0);
    internet.configure(&server, "AllowPrivateAddresses yes\n");
    server.reload();
    wait_until("the laboratory", DEADLINE, || {
        server
            .process()
            .output()
            .matches("configuration reloaded")
            .count()
            == 2
    });
    assert_eq!(pinged(&[HOST6, late]), 2);
}

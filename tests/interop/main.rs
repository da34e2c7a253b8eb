//! Real Teredo clients, relays and native hosts against the server under test.
//!
//! Client and relay are Debian's `miredo`. The server is ours, or, with the environment variable
//! `MIREDO_SERVER_SUBJECT=/usr/sbin/miredo-server`, the C server of that package: what that one
//! cannot pass, no client needs. Root only; [`internet`] has the picture.
#![cfg(test)]
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod cloud;
mod internet;
#[path = "../lab/mod.rs"]
mod lab;
mod qualifier;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::time::Duration;

use internet::{Internet, NATIVE, NATIVE_TOO, Nat, PRIMARY, RELAY, SECONDARY};
use lab::{DEADLINE, Namespace, Relay, Subject, wait_until};
use qualifier::Qualifier;

const TOOLS: [&str; 5] = ["ip", "nft", "ping", "miredo", "/dev/net/tun"];

/// Longer than the 30 seconds after which a qualified client solicits its server anew.
const REFRESH: Duration = Duration::from_secs(60);

#[test]
fn clients_qualify() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new([Nat::Restricted, Nat::Cone]);
    let _server = internet.start_server();
    let clients = internet.start_clients();

    for (client, site) in clients.iter().zip(&internet.sites) {
        let address = client.wait_for_address();
        let [0x20, 1, 0, 0, a, b, c, d, flags, ..] = address.octets() else {
            panic!("{address} is outside the Teredo prefix");
        };
        assert_eq!(Ipv4Addr::new(a, b, c, d), PRIMARY, "server in {address}");
        assert_eq!(flags & 0x80, 0, "cone bit in {address}");
        assert_eq!(mapped(address), site.mapped, "mapped address in {address}");
    }

    let seen = internet.watch();
    assert!(seen["solicitations"] >= 2, "{seen:?}");
    assert_eq!(seen["advertisements"], seen["solicitations"], "{seen:?}");
    // This client is content with the primary address.
    assert_eq!(seen["to_secondary"] + seen["from_secondary"], 0, "{seen:?}");
    assert_eq!(seen["strange_out"], 0, "{seen:?}");
}

#[test]
fn clients_reach_a_native_host() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new([Nat::Restricted, Nat::Cone]);
    let _server = internet.start_server();
    let _relay = Relay::start(&internet.relay, RELAY, "cone");
    let clients = internet.start_clients();

    for client in &clients {
        client.wait_for_address();
        ping(client.host, NATIVE);
    }

    let seen = internet.watch();
    // RFC 4380 section 5.2.9: each client asks for an echo, which leaves natively in its name ...
    assert!(seen["echoes_in"] >= 2, "{seen:?}");
    assert_eq!(seen["native_echoes"], seen["echoes_in"], "{seen:?}");
    // ... and the relay that gets the reply asks the client, through the server, to open its NAT.
    assert!(seen["bubbles_in"] >= 2, "{seen:?}");
    assert_eq!(seen["bubbles_out"], seen["bubbles_in"], "{seen:?}");
    assert_eq!(seen["strange_out"], 0, "{seen:?}");
}

/// The host forwards what comes out of the tunnel device, so nothing of it passes the hook for what the host itself sends.
#[test]
fn clients_reach_a_native_host_through_a_tunnel() {
    if !lab::require(&TOOLS) || !Subject::chosen().is_ours() {
        return;
    }
    let internet = Internet::new([Nat::Restricted, Nat::Cone]);
    internet.server.forward();
    let _server = internet.start_server_with("EchoPath tunnel\n");
    let _relay = Relay::start(&internet.relay, RELAY, "cone");
    let client = internet.sites[0].start_client();
    client.wait_for_address();
    ping(client.host, NATIVE);
    let seen = internet.watch();
    assert!(seen["echoes_in"] >= 1, "{seen:?}");
    assert_eq!(seen["native_echoes"], 0, "{seen:?}");
    assert_eq!(seen["strange_out"], 0, "{seen:?}");
}

#[test]
fn a_native_host_reaches_clients_through_a_cone_relay() {
    native_host_reaches_clients("cone");
}

#[test]
fn a_native_host_reaches_clients_through_a_restricted_relay() {
    native_host_reaches_clients("restricted");
}

fn native_host_reaches_clients(relay_type: &str) {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new([Nat::Restricted, Nat::Cone]);
    let _server = internet.start_server();
    let _relay = Relay::start(&internet.relay, RELAY, relay_type);
    let clients = internet.start_clients();

    for client in &clients {
        ping(&internet.native, client.wait_for_address());
    }

    let seen = internet.watch();
    assert!(seen["bubbles_in"] >= 2, "{seen:?}");
    assert_eq!(seen["bubbles_out"], seen["bubbles_in"], "{seen:?}");
    assert_eq!(seen["native_echoes"], seen["echoes_in"], "{seen:?}");
    assert_eq!(seen["strange_out"], 0, "{seen:?}");
}

#[test]
fn clients_reach_each_other() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new([Nat::Restricted, Nat::Restricted]);
    let _server = internet.start_server();
    let [one, other] = internet.start_clients();
    one.wait_for_address();

    ping(one.host, other.wait_for_address());

    let seen = internet.watch();
    assert!(seen["bubbles_in"] >= 1, "{seen:?}");
    assert_eq!(seen["bubbles_out"], seen["bubbles_in"], "{seen:?}");
    // The NATs are open: the echoes themselves never cross the server.
    assert_eq!(seen["echoes_in"] + seen["strange_out"], 0, "{seen:?}");
}

#[test]
fn service_survives_a_restart() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new([Nat::Restricted, Nat::Restricted]);
    let server = internet.start_server();
    let _relay = Relay::start(&internet.relay, RELAY, "cone");
    let [one, other] = internet.start_clients();
    let address = one.wait_for_address();
    ping(one.host, NATIVE);

    assert!(server.stop().success());
    let before = internet.watch();
    let _server = internet.start_server();

    // Peers that nobody has talked to yet, so that the new server is needed for each.
    ping(one.host, NATIVE_TOO);
    ping(other.host, address);
    let seen = internet.watch();
    assert!(seen["native_echoes"] > before["native_echoes"], "{seen:?}");
    assert!(seen["bubbles_out"] > before["bubbles_out"], "{seen:?}");

    wait_until("answers to the clients' next refreshes", REFRESH, || {
        internet.watch()["advertisements"] >= before["advertisements"] + 2
    });
    assert_eq!(one.wait_for_address(), address);
}

#[test]
fn a_client_waits_for_its_server() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new([Nat::Restricted, Nat::Cone]);
    let client = internet.sites[0].start_client();
    wait_until("a solicitation in vain", DEADLINE, || {
        internet.watch()["solicitations"] > 0
    });

    let _server = internet.start_server();

    assert_eq!(mapped(client.wait_for_address()), internet.sites[0].mapped);
}

/// RFC 4380 section 5.2.1 in full, which `miredo` cuts short: first the cone solicitation, whose
/// answer comes from the other address and so tells what the NAT lets in.
#[test]
fn the_secondary_address_tells_nats_apart() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new([Nat::Cone, Nat::Restricted]);
    let _server = internet.start_server();
    let [cone, restricted] = &internet.sites;

    let client = Qualifier::new(&cone.host);
    client.solicit(PRIMARY, true);
    let answer = client.advertisement();
    assert_eq!((answer.from, answer.mapped), (SECONDARY, cone.mapped));

    let client = Qualifier::new(&restricted.host);
    client.solicit(PRIMARY, true);
    wait_until("an answer that the NAT refuses", DEADLINE, || {
        restricted.refused() == 1
    });
    for server in [PRIMARY, SECONDARY] {
        client.solicit(server, false);
        let answer = client.advertisement();
        assert_eq!((answer.from, answer.mapped), (server, restricted.mapped));
    }

    let seen = internet.watch();
    assert_eq!(
        (seen["solicitations"], seen["advertisements"]),
        (4, 4),
        "{seen:?}"
    );
    assert_eq!(
        (seen["to_secondary"], seen["from_secondary"]),
        (1, 3),
        "{seen:?}"
    );
}

#[test]
fn the_secondary_address_gives_a_symmetric_nat_away() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new([Nat::Symmetric, Nat::Cone]);
    let _server = internet.start_server();
    let client = Qualifier::new(&internet.sites[0].host);

    let [first, second] = [PRIMARY, SECONDARY].map(|server| {
        client.solicit(server, false);
        client.advertisement()
    });

    assert_eq!((first.from, second.from), (PRIMARY, SECONDARY));
    assert_eq!(first.mapped.ip(), second.mapped.ip());
    assert_ne!(first.mapped.port(), second.mapped.port());
}

/// Three echoes answered, lost ones sent anew; panics when that takes too long.
#[track_caller]
fn ping(host: &Namespace, target: Ipv6Addr) {
    let deadline = DEADLINE.as_secs();
    host.run(&format!("ping -n -i 0.2 -c 3 -w {deadline} {target}"));
}

/// The mapped address and port in a Teredo address (RFC 4380 section 4).
fn mapped(address: Ipv6Addr) -> SocketAddrV4 {
    let [.., p, q, a, b, c, d] = address.octets().map(|octet| !octet);
    SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([p, q]))
}

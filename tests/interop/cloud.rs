//! A server behind a 1:1 NAT: clients know its public addresses, and its sockets are bound to others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use serde_json::Value;

use crate::internet::{BOUND, BOUND_TOO, Internet, NATIVE, Nat, PRIMARY, RELAY, SECONDARY};
use crate::lab::{self, DEADLINE, Namespace, Relay, Subject};
use crate::qualifier::Qualifier;
use crate::{TOOLS, mapped, ping};

const PROBE: &str = env!("CARGO_BIN_EXE_teredo-probe");

/// The reference has no public addresses apart from those that it binds.
fn can_run() -> bool {
    lab::require(&TOOLS) && Subject::chosen().is_ours()
}

#[test]
fn clients_work_with_a_server_behind_a_one_to_one_nat() {
    if !can_run() {
        return;
    }
    let internet = Internet::with_cloud([Nat::Restricted, Nat::Cone]);
    let _server = internet.start_server();
    let _relay = Relay::start(&internet.relay, RELAY, "cone");
    let clients = internet.start_clients();

    let addresses = [0, 1].map(|number: usize| {
        let address = clients[number].wait_for_address();
        assert_eq!(server(address), PRIMARY, "server in {address}");
        assert_eq!(mapped(address), internet.sites[number].mapped);
        address
    });
    for client in &clients {
        ping(client.host, NATIVE);
    }
    ping(&internet.native, addresses[0]);
    ping(clients[0].host, addresses[1]);

    let seen = internet.watch();
    assert_eq!(seen["advertisements"], seen["solicitations"], "{seen:?}");
    assert!(seen["native_echoes"] >= 2, "{seen:?}");
    assert_eq!(seen["native_echoes"], seen["echoes_in"], "{seen:?}");
    assert!(seen["bubbles_in"] >= 3, "{seen:?}");
    assert_eq!(seen["bubbles_out"], seen["bubbles_in"], "{seen:?}");
    assert_eq!(seen["strange_out"], 0, "{seen:?}");
}

/// RFC 4380 section 5.2.1 in full: each answer comes from the public address that it must come from.
#[test]
fn each_public_address_answers_for_itself() {
    if !can_run() {
        return;
    }
    let internet = Internet::with_cloud([Nat::Cone, Nat::Restricted]);
    let _server = internet.start_server();
    let site = &internet.sites[0];
    let client = Qualifier::new(&site.host);
    for (to, cone, from) in [
        (PRIMARY, true, SECONDARY),
        (SECONDARY, true, PRIMARY),
        (PRIMARY, false, PRIMARY),
        (SECONDARY, false, SECONDARY),
    ] {
        client.solicit(to, cone);
        let answer = client.advertisement();
        assert_eq!((answer.from, answer.mapped), (from, site.mapped));
    }
}

/// The probe refuses an advertisement whose source or prefix does not embed the address that it asked.
#[test]
fn the_probe_finds_the_public_server() {
    if !can_run() {
        return;
    }
    let internet = Internet::with_cloud([Nat::Restricted, Nat::Cone]);
    let mut server = internet.start_server();
    let verdict = probe(&internet.relay, &[&PRIMARY.to_string()]);
    assert_eq!(verdict["works"], true, "{verdict}");
    assert_eq!(verdict["prefix"], "2001:0:c000:201::/64", "{verdict}");
    assert_eq!(verdict["secondary"], SECONDARY.to_string(), "{verdict}");
    assert_eq!(verdict["nat"], "none", "{verdict}");

    let serving = format!(
        "serving {PRIMARY} (bound to {BOUND}) and {SECONDARY} (bound to {BOUND_TOO}), UDP port 3544"
    );
    server.process().wait_for_output(&serving, DEADLINE);
}

/// Such a packet would be for this host itself, be it that the border sends it back.
#[test]
fn nothing_is_forwarded_to_public_or_bound_addresses() {
    if !can_run() {
        return;
    }
    let internet = Internet::with_cloud([Nat::Restricted, Nat::Cone]);
    let mut server = internet.start_server();
    // A worker that is stopped before it has said that it serves is not asked what it has done.
    server.process().wait_for_output("serving ", DEADLINE);
    let [relay, other] = internet
        .relay
        .within(|| [0, 53].map(|port| UdpSocket::bind((RELAY, port)).unwrap()));
    for target in [PRIMARY, SECONDARY, BOUND, BOUND_TOO, RELAY] {
        relay.send_to(&bubble(target), (PRIMARY, 3544)).unwrap();
    }
    // The last one is forwarded, so all before it have been decided.
    other.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut bytes = [0; 64];
    let (len, from) = other.recv_from(&mut bytes).unwrap();
    assert_eq!((len, from.ip()), (48, IpAddr::V4(PRIMARY)));
    assert_eq!(bytes[8..48], bubble(RELAY));

    server.process().terminate();
    let stopped = "stopped; 1 datagrams answered or forwarded, 4 dropped, 0 lost";
    server.process().wait_for_output(stopped, DEADLINE);
}

/// Debian's client asks no other.
#[test]
fn one_address_serves_debians_client() {
    if !can_run() {
        return;
    }
    let internet = Internet::with_cloud([Nat::Restricted, Nat::Cone]);
    let _server = internet.start_server_with("ServerBindAddress2 none\n");
    let clients = internet.start_clients();
    let addresses = clients.each_ref().map(|client| client.wait_for_address());
    ping(clients[0].host, addresses[1]);
    let seen = internet.watch();
    assert_eq!(seen["to_secondary"] + seen["from_secondary"], 0, "{seen:?}");

    // What goes by RFC 4380 section 5.2.1 finds that the service is not usable.
    let server = PRIMARY.to_string();
    let strict = probe(&internet.relay, &[&server]);
    assert_eq!(strict["works"], false, "{strict}");
    let lenient = probe(&internet.relay, &["--one-address", &server]);
    assert_eq!(lenient["works"], true, "{lenient}");
}

/// What the probe says of a server.
fn probe(host: &Namespace, arguments: &[&str]) -> Value {
    let arguments = [&["--json", "-t", "4"], arguments].concat();
    let output = host.command(PROBE, &arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().last();
    let line = line.unwrap_or_else(|| panic!("nothing on standard output: {output:?}"));
    serde_json::from_str(line).unwrap()
}

/// A bubble of a native host to the client with this mapped address, port 53.
fn bubble(mapped: Ipv4Addr) -> [u8; 40] {
    let mut packet = [0; 40];
    packet[0] = 0x60;
    packet[6] = 59;
    packet[8..24].copy_from_slice(&NATIVE.octets());
    packet[24..32].copy_from_slice(&[0x20, 1, 0, 0, 192, 0, 2, 1]);
    packet[34..36].copy_from_slice(&(!53_u16).to_be_bytes());
    packet[36..].copy_from_slice(&(!mapped.to_bits()).to_be_bytes());
    packet
}

/// The server in a Teredo address (RFC 4380 section 4).
fn server(address: Ipv6Addr) -> Ipv4Addr {
    let [_, _, _, _, a, b, c, d, ..] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

//! Nobody is mute because somebody else sends to neighbours who are not there. Root only.
//!
//! ```text
//!         198.18.0.1 and .2/16                   198.18.0.254/16
//!          2001:db8:1::1/64                       2001:db8:1::ff/64
//!              server ---------------------------- world, a router and all who are beyond it:
//!                                                 198.51.100.1 and .66, 2001:db8:3::1
//! ```
//!
//! Nobody else is on the cable.
#![cfg(test)]
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;
mod lab;

use std::io::Read as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use harness::Client;
use lab::{DEADLINE, Namespace, Server, Subject, link};
use miredo_server::wire::address::{ServicePrefix, TeredoAddress};
use miredo_server::wire::icmp6::{ECHO_REQUEST, Echo};
use miredo_server::wire::ipv6::Header;
use socket2::{Domain, Protocol, Socket, Type};

const PRIMARY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 66);
const NATIVE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 1);

/// More than the send buffer of a socket holds, and than the host's table of neighbours: gc_thresh3 of arp(7), 1,024. What
/// asks for them waits in the server's receive buffer until it is read.
const ABSENT: u16 = 4096;

struct Network {
    world: Namespace,
    server: Server,
    host: Namespace,
}

impl Network {
    fn new(workers: usize, more: &str) -> Self {
        let (host, world) = (Namespace::new("server"), Namespace::new("world"));
        link(&host, "eth", &world, "eth");
        for address in ["198.18.0.1/16", "198.18.0.2/16", "2001:db8:1::1/64"] {
            host.address("eth", address);
        }
        for address in ["198.18.0.254/16", "2001:db8:1::ff/64"] {
            world.address("eth", address);
        }
        for address in ["198.51.100.1/32", "198.51.100.66/32", "2001:db8:3::1/128"] {
            world.address("lo", address);
        }
        world.sysctl("ipv6/conf/all/forwarding=1");
        host.sysctl("ipv6/conf/all/forwarding=1");
        host.route("default", "198.18.0.254");
        host.route("default", "2001:db8:1::ff");
        let configuration = format!("ServerBindAddress {PRIMARY}\nWorkers {workers}\n{more}");
        let server = Subject::ours().start(&host, &configuration, 2 * workers);
        Self {
            world,
            server,
            host,
        }
    }

    fn client(&self, address: Ipv4Addr) -> Client {
        self.world.within(|| Client::new(address))
    }

    /// Hears echo requests at the native host.
    fn native(&self) -> Socket {
        self.world.within(|| {
            let native = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
            native
                .bind(&SocketAddrV6::new(NATIVE, 0, 0, 0).into())
                .unwrap();
            native.set_read_timeout(Some(DEADLINE)).unwrap();
            native
        })
    }
}

fn send(from: &Client, packet: &[u8]) {
    from.socket.send_to(packet, (PRIMARY, 3544)).unwrap();
}

/// The Teredo address of whoever is mapped to this.
fn teredo(mapped: SocketAddrV4) -> Ipv6Addr {
    let address = TeredoAddress {
        prefix: ServicePrefix::GLOBAL,
        server: PRIMARY,
        flags: 0,
        mapped,
    };
    address.to_ipv6()
}

fn bubble(source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let mut packet = vec![0; 40];
    assert!(
        Header::bubble(source, destination)
            .emit(&mut packet)
            .is_some()
    );
    packet
}

/// An echo request for a native host, of a client who looks for its relay (RFC 4380 section 5.2.9).
fn echo(source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let echo = Echo {
        kind: ECHO_REQUEST,
        identifier: 1,
        sequence: 2,
        data: b"whose relay?",
    };
    let mut packet = vec![0; 60];
    let left = echo.emit(&mut packet, source, destination, 64);
    assert_eq!(left.map(|left| left.len()), Some(0));
    packet
}

/// Asks, and has a bubble passed on and an echo request sent out.
fn is_served(network: &Network, native: &mut Socket, nonce: u64) {
    let (client, peer) = (network.client(CLIENT), network.client(CLIENT));
    client.ask(PRIMARY, nonce);

    let passed = bubble(teredo(client.mapped()), teredo(peer.mapped()));
    send(&client, &passed);
    let mut buffer = [0; 100];
    let length = peer.socket.recv(&mut buffer).expect("a bubble");
    assert_eq!(buffer[..length][8..], passed);

    let asked = echo(teredo(client.mapped()), NATIVE);
    send(&client, &asked);
    loop {
        let length = native.read(&mut buffer).expect("an echo request");
        if buffer[..length][4..] == asked[44..] {
            break;
        }
    }
}

#[test]
fn absent_neighbours_harm_nobody() {
    if !lab::require(&["ip"]) {
        return;
    }
    // One worker, so that whoever asks shares a socket with whoever harms.
    let network = Network::new(1, "");
    let mut native = network.native();
    is_served(&network, &mut native, 1);

    let stranger = network.client(STRANGER);
    let source = teredo(stranger.mapped());
    for number in 1..=ABSENT {
        let [high, low] = (number + 0x100).to_be_bytes();
        let absent = SocketAddrV4::new(Ipv4Addr::new(198, 18, high, low), 4000);
        send(&stranger, &bubble(source, teredo(absent)));
    }
    is_served(&network, &mut native, 2);

    for number in 1..=ABSENT {
        let absent = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 1, number);
        send(&stranger, &echo(source, absent));
    }
    is_served(&network, &mut native, 3);

    // What was lost has an address and a number.
    let Network { mut server, .. } = network;
    let told = "no room to send: 198.18.";
    server.process().wait_for_output(told, DEADLINE);
    server.process().terminate();
    let output = server.process().output();
    assert_eq!(output.matches("no room to send: ").count(), 1, "{output}");
    let lost = output.split_once(" lost").expect("what was lost").0;
    let lost: u16 = lost.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((ABSENT..2 * ABSENT).contains(&lost), "{output}");
}

/// The sockets of many workers together do not fill the host's table of neighbours (`gc_thresh3`, arp(7)), of 1,024 places: the
/// host would reach no new one.
#[test]
fn absent_neighbours_of_many_workers_leave_the_host_room() {
    if !lab::require(&["ip"]) {
        return;
    }
    let network = Network::new(32, "");
    let strangers: Vec<Client> = (0..128).map(|_| network.client(STRANGER)).collect();
    for (number, stranger) in (1..=ABSENT).zip(strangers.iter().cycle()) {
        let [high, low] = (number + 0x100).to_be_bytes();
        let absent = SocketAddrV4::new(Ipv4Addr::new(198, 18, high, low), 4000);
        send(stranger, &bubble(teredo(stranger.mapped()), teredo(absent)));
    }
    for (nonce, stranger) in (1..).zip(&strangers) {
        stranger.ask(PRIMARY, nonce);
    }
    let asked_for = network.host.ip("-4 neighbour show nud incomplete");
    let count = asked_for.lines().count();
    assert!((32..768).contains(&count), "{count} are asked for");
}

/// Nor does what a tunnel carries, and the host forwards.
#[test]
fn absent_neighbours_behind_a_tunnel_leave_the_host_room() {
    if !lab::require(&["ip"]) {
        return;
    }
    let network = Network::new(2, "EchoPath tunnel\n");
    let mut native = network.native();
    let stranger = network.client(STRANGER);
    for number in 1..=ABSENT {
        let absent = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 1, number);
        send(&stranger, &echo(teredo(stranger.mapped()), absent));
    }
    is_served(&network, &mut native, 1);
    let asked_for = network.host.ip("-6 neighbour show nud incomplete");
    let count = asked_for.lines().count();
    assert!((1..512).contains(&count), "{count} are asked for");
}

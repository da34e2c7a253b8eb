//! A fleet of servers at one pair of addresses, as teredo-anycast(7) describes it: what clients notice when a part of it fails.
//!
//! Root only; [`fleet`] has the picture. The page has the numbers that this prints with `--nocapture`.
#![cfg(test)]
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod asker;
mod fleet;
#[path = "../harness/mod.rs"]
mod harness;
#[path = "../lab/mod.rs"]
mod lab;

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Instant;

use asker::{Asker, Count};
use fleet::{Fleet, PRIMARY, SECONDARY, start_server};
use lab::{Client, DEADLINE, Namespace, PrivateDir, link};

const TOOLS: [&str; 9] = [
    "ip",
    "nft",
    "ping",
    "miredo",
    "/dev/net/tun",
    "timeout",
    "bird",
    "vtysh",
    "/usr/lib/frr/bgpd",
];

/// The UDP port of a Teredo client.
const PORT: u16 = 4500;

#[test]
fn a_fleet_loses_one_part_after_another() {
    if !lab::require(&TOOLS) {
        return;
    }
    let mut fleet = Fleet::new();
    let asker_host = fleet.host("asker", 0);
    let [host, hosts @ ..] = [1, 2, 3, 4, 5].map(|number| fleet.host("client", number));
    fleet.wait_for_next_hops(3);
    let asker = Asker::start(&asker_host, PRIMARY, SECONDARY);
    let client = Client::start(&host, PRIMARY, PORT);
    let address = client.wait_for_address();
    asker.wait_for_a_good_second();
    for node in &fleet.nodes {
        assert!(node.answers() > 0, "the router sends to every node");
    }
    let port = fleet.port(2, 1);
    let count = observe("node drained", &asker, (&hosts[0], port), || {
        fleet.nodes[0].drain();
        fleet.wait_for_next_hops(2);
    });
    assert_eq!(count.unanswered, 0, "a planned stop loses nothing");
    fleet.nodes[0].start_check();
    fleet.wait_for_next_hops(3);

    let port = fleet.port(3, 3);
    fleet.nodes[2].wait_for_check();
    let count = observe("server killed", &asker, (&hosts[1], port), || {
        fleet.nodes[2].kill_server();
        fleet.wait_for_next_hops(2);
    });
    assert!((1..count.asked).contains(&count.unanswered));
    fleet.nodes[2].start_server();
    fleet.wait_for_next_hops(3);

    let port = fleet.port(4, 2);
    let count = observe("uplink cut", &asker, (&hosts[2], port), || {
        fleet.nodes[1].host.ip("link set wan down");
        fleet.wait_for_next_hops(2);
    });
    assert!(count.unanswered < count.asked);

    let port = fleet.port(5, 3);
    let count = observe("node killed", &asker, (&hosts[3], port), || {
        fleet.nodes[2].kill();
        fleet.wait_for_next_hops(1);
    });
    assert!((1..count.asked).contains(&count.unanswered));

    assert_eq!(client.wait_for_address(), address);
}

/// The addresses are missing here, and a node that has them answers in place of this one.
#[test]
fn a_node_without_the_addresses_announces_nothing() {
    if !lab::require(&["ip", "timeout"]) {
        return;
    }
    let (here, there) = pair();
    let _server = start_server(&there);
    let dir = PrivateDir::new();
    let check = fleet::start_check(&here, &dir);
    check.wait_for_output("another host answers for 203.0.113.10", DEADLINE);
    for address in [PRIMARY, SECONDARY] {
        here.address("lo", &format!("{address}/32"));
    }
    let _server = start_server(&here);
    check.wait_for_output("203.0.113.10/31 is announced", DEADLINE);
}

/// Two nodes that share addresses by VRRP: the one that has them not is ready to serve.
#[test]
fn a_standby_serves_as_soon_as_the_addresses_come() {
    if !lab::require(&["ip"]) {
        return;
    }
    let (client, standby) = pair();
    for address in [PRIMARY, SECONDARY] {
        standby.ip(&format!("address delete {address}/32 dev lo"));
    }
    standby.sysctl("ipv4/ip_nonlocal_bind=1");
    let _server = start_server(&standby);
    for address in [PRIMARY, SECONDARY] {
        standby.address("wan", &format!("{address}/32"));
    }
    let client = client.within(|| harness::Client::new(Ipv4Addr::new(192, 0, 2, 1)));
    for (number, cone, from) in [(1, false, PRIMARY), (2, true, SECONDARY)] {
        client.solicit(PRIMARY, number, cone);
        let answer = client.advertisement();
        assert_eq!((answer.from, answer.nonce), (IpAddr::V4(from), number));
        assert_eq!(answer.mapped, client.mapped());
    }
}

/// Two hosts, 192.0.2.1 and 192.0.2.2. The second one has the addresses of the server.
fn pair() -> (Namespace, Namespace) {
    let (one, other) = (Namespace::new("one"), Namespace::new("other"));
    link(&one, "wan", &other, "wan");
    one.address("wan", "192.0.2.1/24");
    other.address("wan", "192.0.2.2/24");
    one.route("203.0.113.0/24", "192.0.2.2");
    for address in [PRIMARY, SECONDARY] {
        other.address("lo", &format!("{address}/32"));
    }
    (one, other)
}

/// Runs `event`. A client that starts at the same time qualifies, and in the end all questions are answered again.
#[track_caller]
fn observe(
    what: &str,
    asker: &Asker,
    (host, port): (&Namespace, u16),
    event: impl FnOnce(),
) -> Count {
    let (mark, begin) = (asker.mark(), Instant::now());
    let client = Client::start(host, PRIMARY, port);
    let (withdrawn, qualified) = thread::scope(|scope| {
        let qualified = scope.spawn(|| {
            client.wait_for_address();
            begin.elapsed()
        });
        event();
        (begin.elapsed(), qualified.join().unwrap())
    });
    asker.wait_for_a_good_second();
    let count = asker.count(mark, begin);
    println!(
        "{what}: {} questions unanswered, the last {:.1} s after; withdrawn after {:.1} s; a new client qualified after {:.1} s",
        count.unanswered,
        count.until.as_secs_f64(),
        withdrawn.as_secs_f64(),
        qualified.as_secs_f64(),
    );
    count
}

//! Clients of teredo-probe(1) that meet through a server, all in memory: [`world`] has the network. No time passes.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod world;

use std::net::Ipv6Addr;
use std::time::Duration;

use miredo_server::probe::client::Event;
use miredo_server::probe::packet::describe;
use miredo_server::wire::address::TeredoAddress;
use proptest::prelude::*;

use world::{Nat, World};

const NATIVE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 6, 0, 0, 0, 0, 0x40);

fn opening(event: &Event) -> bool {
    matches!(event, Event::Opening(..))
}

fn replies(events: &[Event]) -> usize {
    let replies = events.iter();
    replies
        .filter(|event| matches!(event, Event::Reply(..)))
        .count()
}

/// Direct and indirect bubbles open both NATs; the echoes themselves do not cross the server.
#[test]
fn two_restricted_ping_each_other() {
    for nats in [
        [Nat::None, Nat::None],
        [Nat::Restricted, Nat::None],
        [Nat::None, Nat::Restricted],
        [Nat::Restricted, Nat::Restricted],
    ] {
        let mut world = World::new(nats);
        for (from, to) in [(0, 1), (1, 0)] {
            let peer = world.address(to);
            world.ping(from, peer, 7);
            world.run(Duration::from_secs(1));
            assert_eq!(replies(&world.events(from)), 1, "{nats:?} {from} to {to}");
        }
        assert_eq!(world.echoes_through_server, 0, "{nats:?}");
    }
}

/// RFC 4380 section 5.2.6: at most four in 300 seconds, then it is said.
#[test]
fn absent_peer_gets_four_bubbles() {
    let mut world = World::new([Nat::Restricted, Nat::Restricted]);
    let address = TeredoAddress {
        mapped: "203.0.113.99:9".parse().unwrap(),
        ..world.parts(1)
    };
    let peer = address.to_ipv6();
    for sequence in 0..60 {
        world.ping(0, peer, sequence);
        world.run(Duration::from_secs(1));
    }
    let events = world.events(0);
    assert_eq!(events.iter().filter(|event| opening(event)).count(), 4);
    assert!(events.contains(&Event::Limit(peer)), "{events:?}");
    world.run(Duration::from_secs(300));
    world.ping(0, peer, 99);
    assert!(world.events(0).iter().any(opening));
}

/// Whoever asks again and again gets four answers.
#[test]
fn four_bubbles_are_answered() {
    let mut world = World::new([Nat::Restricted, Nat::Restricted]);
    let peer = TeredoAddress {
        mapped: "203.0.113.99:9".parse().unwrap(),
        ..world.parts(1)
    };
    for _ in 0..30 {
        world.bubble_through_server(0, peer);
        world.run(Duration::from_secs(3));
    }
    let sent = world.sent_to(peer.mapped);
    assert_eq!(sent, 4);
    assert!(world.events(0).contains(&Event::Limit(peer.to_ipv6())));
}

/// Some NATs hairpin with their inner address in place of the sender's mapped one.
#[test]
fn two_behind_a_hairpinning_nat() {
    for inner in [false, true] {
        let mut world = World::new([Nat::Shared { inner }, Nat::Shared { inner }]);
        let peer = world.address(1);
        world.ping(0, peer, 1);
        world.run(Duration::from_secs(3));
        assert_eq!(replies(&world.events(0)), 1, "{inner}");
    }
}

/// A source that is not what its address says is believed only when it repeats a nonce.
#[test]
fn a_forged_source_is_not_trusted() {
    let mut world = World::new([Nat::None, Nat::None]);
    let peer = world.parts(1);
    world.forge_reply(0, peer.to_ipv6(), "203.0.113.66:6".parse().unwrap());
    let events = world.events(0);
    assert!(
        !events.iter().any(|event| matches!(event, Event::Open(..))),
        "{events:?}"
    );
    // What is then sent goes where the address says.
    world.ping(0, peer.to_ipv6(), 1);
    world.run(Duration::from_secs(1));
    assert_eq!(replies(&world.events(0)), 1);
    assert!(world.sent_to("203.0.113.66:6".parse().unwrap()) <= 1);
}

/// RFC 4380 section 5.2.9, through a relay that asks for a bubble first.
#[test]
fn a_native_one_through_a_relay() {
    let mut world = World::new([Nat::Restricted, Nat::None]);
    world.relay = true;
    world.test(0, NATIVE);
    world.run(Duration::from_secs(1));
    let events = world.events(0);
    let is_open = |event: &Event| matches!(event, Event::Open(NATIVE, _));
    assert!(events.iter().any(is_open), "{events:?}");
    world.ping(0, NATIVE, 5);
    world.run(Duration::from_secs(1));
    assert_eq!(replies(&world.events(0)), 1);
}

#[test]
fn nothing_from_a_native_address() {
    let mut world = World::new([Nat::Restricted, Nat::None]);
    world.test(0, NATIVE);
    world.run(Duration::from_secs(20));
    let events = world.events(0);
    let tests = events
        .iter()
        .filter(|event| matches!(event, Event::Testing(..)));
    assert_eq!(tests.count(), 4);
    assert!(events.contains(&Event::GivenUp(NATIVE, None)), "{events:?}");
}

/// RFC 4380 section 5.2.5: the server is asked before the NAT forgets, and a new mapping is a new address.
#[test]
fn the_mapping_is_kept_alive() {
    let mut world = World::new([Nat::Restricted, Nat::Restricted]);
    world.run(Duration::from_secs(300));
    // Every 22.5 to 30 seconds.
    let asked = world.solicitations(0);
    assert!((10..=14).contains(&asked), "{asked}");
    let before = world.address(0);
    assert!(world.events(0).is_empty());
    world.remap(0);
    world.run(Duration::from_secs(31));
    let after = world.address(0);
    assert_ne!(before, after);
    assert!(world.events(0).contains(&Event::Address(after)));
    world.ping(1, after, 3);
    world.run(Duration::from_secs(3));
    assert_eq!(replies(&world.events(1)), 1);
}

#[test]
fn a_stopped_server_is_said_once() {
    let mut world = World::new([Nat::Restricted, Nat::Restricted]);
    world.server_answers = false;
    world.run(Duration::from_secs(200));
    assert_eq!(world.events(0), [Event::ServerSilent]);
}

proptest! {
    /// Whatever comes, from whomever: no panic, at most a pair of bubbles for one datagram, and one printable line for `-v`.
    #[test]
    fn anything_may_come(
        kind in 0..3_usize,
        noise in prop::collection::vec(any::<u8>(), 0..300),
        changes in prop::collection::vec((0..160_usize, any::<u8>()), 0..4),
        from_server in any::<bool>(),
    ) {
        let mut world = World::new([Nat::None, Nat::None]);
        let mut bytes = match kind {
            0 => noise,
            1 => world.indirect_bubble(0),
            _ => world.direct_request(0),
        };
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        let sent = world.answers(0, from_server, &bytes);
        prop_assert!(sent <= 2, "{sent}");
        let said = describe(&bytes);
        prop_assert!(said.chars().all(|c| (' '..='~').contains(&c)), "{said:?}");
    }
}

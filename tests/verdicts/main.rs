//! The verdicts of teredo-probe(1) on servers and NATs that exist in memory only: [`world`] has the network, [`servers`] the
//! servers, right and wrong. No socket, and no time passes.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod servers;
mod world;

use std::time::Duration;

use miredo_server::probe::inquiry::Outcome;
use miredo_server::probe::nat::Kind;
use miredo_server::probe::question::Question;
use miredo_server::probe::verdict::Report;
use miredo_server::wire::address::ServicePrefix;

use servers::{Server, server};
use world::{Filter, Mapping, Nat, World};

/// Names of what is wrong with a server, as a probe without a NAT sees it.
fn faults(server: Server) -> Vec<&'static str> {
    let report = World::new(Nat::NONE, server).ask();
    report.faults.iter().map(|fault| fault.code()).collect()
}

#[test]
fn a_right_server_works() {
    let report = World::new(Nat::NONE, server()).ask();
    assert!(report.works(), "{:?}", report.faults);
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let address = report.address.unwrap().to_ipv6().to_string();
    // Port 5000 and 203.0.113.7, every bit inverted.
    assert_eq!(address, "2001:0:c633:6401:0:ec77:34ff:8ef8");
}

#[test]
fn each_wrong_server_has_a_name() {
    let cases: [(&str, Server, &[&str]); 22] = [
        ("returns what it gets", servers::echo(), &["invalid-answer"]),
        ("a name server", servers::name_server(), &["invalid-answer"]),
        (
            "answers for cone itself",
            servers::cone_itself(),
            &["cone-answer-from-elsewhere"],
        ),
        (
            "cone from a third address",
            servers::cone_from("198.51.100.3:3544"),
            &["cone-answer-from-elsewhere"],
        ),
        (
            "cone from another port",
            servers::cone_from("198.51.100.2:3545"),
            &["cone-answer-from-elsewhere"],
        ),
        (
            "prefix of another server",
            servers::prefix("2001:0:c633:6409::"),
            &["prefix-of-other-server"],
        ),
        (
            "a private prefix",
            servers::prefix("2001:0:a00:1::"),
            &["server-behind-nat"],
        ),
        (
            "no prefix of the service",
            servers::prefix("2001:db8:1:2::"),
            &["prefix-not-of-service"],
        ),
        (
            "two prefixes",
            servers::disagreeing("2001:0:c633:6409::"),
            &["prefixes-disagree"],
        ),
        (
            "a private mapped address",
            servers::mapped("10.9.9.9:1"),
            &["mapped-address"],
        ),
        (
            "a mapped port 0",
            servers::mapped("203.0.113.7:0"),
            &["mapped-address"],
        ),
        (
            "to another destination",
            servers::destination("fe80::1"),
            &["invalid-answer"],
        ),
        (
            "from a global source",
            servers::source("2001:db8::1"),
            &["invalid-answer"],
        ),
        (
            "two prefix options",
            servers::prefix_options(2),
            &["invalid-answer"],
        ),
        (
            "no prefix option",
            servers::prefix_options(0),
            &["invalid-answer"],
        ),
        ("hop limit 64", servers::hop_limit(64), &["invalid-answer"]),
        ("a wrong checksum", servers::checksum(), &["invalid-answer"]),
        (
            "no origin indication",
            servers::no_origin(),
            &["invalid-answer"],
        ),
        ("no nonce", servers::no_nonce(), &["invalid-answer"]),
        (
            "secondary silent",
            servers::primary_only(),
            &["secondary-silent"],
        ),
        ("all silent", servers::silent(), &["silent"]),
        (
            "the secondary asked",
            servers::prefix("2001:0:c633:6400::"),
            &["is-secondary"],
        ),
    ];
    for (name, server, expected) in cases {
        assert_eq!(faults(server), expected, "{name}");
    }
    assert_eq!(
        faults(servers::all_from_primary()),
        ["cone-answer-from-elsewhere", "answer-from-elsewhere"]
    );
}

#[test]
fn an_odd_mtu_is_no_fault() {
    for (mtu, odd) in [
        (None, false),
        (Some(1472), false),
        (Some(9000), true),
        (Some(1279), true),
    ] {
        let report = World::new(Nat::NONE, servers::mtu(mtu)).ask();
        assert!(report.works());
        assert_eq!(!report.warnings.is_empty(), odd, "{mtu:?}");
    }
}

#[test]
fn each_kind_of_nat_is_told() {
    use Filter::{Address, AddressAndPort, HostAddress, Open};
    use Mapping::{PerDestination, Preserving, Sequential, Shifted};
    let cases = [
        (Shifted, Open, Kind::Cone, false),
        (Preserving, Open, Kind::Cone, true),
        (Shifted, Address, Kind::Restricted, false),
        (Preserving, Address, Kind::Restricted, true),
        (Shifted, HostAddress, Kind::Restricted, false),
        (Shifted, AddressAndPort, Kind::Restricted, false),
        (Preserving, AddressAndPort, Kind::Restricted, true),
        (PerDestination, AddressAndPort, Kind::Symmetric, false),
        (Sequential, AddressAndPort, Kind::Symmetric, false),
        // Endpoint-independent filtering lets the cone answer in, whatever the mapping (RFC 4380 section 5.2.10).
        (PerDestination, Open, Kind::Cone, false),
    ];
    for (mapping, filter, kind, preserves) in cases {
        for rejects in [false, true] {
            let nat = Nat {
                mapping: Some(mapping),
                filter,
                rejects,
            };
            let report = World::new(nat, server()).ask();
            assert!(report.works(), "{nat:?}: {:?}", report.faults);
            let seen = report.nat.unwrap();
            assert_eq!(
                (seen.kind, seen.preserves_ports),
                (kind, preserves),
                "{nat:?}"
            );
            let sequential = mapping == Sequential && kind == Kind::Symmetric;
            assert_eq!(seen.step.is_some(), sequential, "{nat:?}");
            assert_eq!(report.address.is_none(), kind == Kind::Symmetric, "{nat:?}");
        }
    }
}

#[test]
fn a_packet_filter_is_no_nat() {
    let nat = Nat {
        filter: Filter::AddressAndPort,
        ..Nat::NONE
    };
    let seen = World::new(nat, server()).ask().nat.unwrap();
    assert_eq!((seen.kind, seen.filtered), (Kind::None, true));
    assert!(!World::new(Nat::NONE, server()).ask().nat.unwrap().filtered);
}

/// With --one-address.
#[test]
fn one_address_may_be_enough() {
    let mut world = World::new(Nat::NONE, servers::primary_only());
    world.target.secondary = None;
    let report = world.ask();
    assert!(report.works(), "{:?}", report.faults);
    assert_eq!(report.nat.unwrap().kind, Kind::None);
    let nat = Nat {
        mapping: Some(Mapping::Shifted),
        filter: Filter::Open,
        rejects: false,
    };
    let mut world = World::new(nat, servers::primary_only());
    world.target.secondary = None;
    assert_eq!(world.ask().nat.unwrap().kind, Kind::Unknown);
}

/// A laboratory's server is asked from a laboratory's addresses.
#[test]
fn a_private_server_and_client() {
    let private = |server: Server| {
        let mut world = World::new(Nat::NONE, server);
        world.target.primary = "10.0.0.1".parse().unwrap();
        world.target.secondary = Some("10.0.0.2".parse().unwrap());
        world.ask()
    };
    let report = private(servers::mapped_with("10.0.0.9:5000", "2001:0:a00:1::"));
    assert!(report.works(), "{:?}", report.faults);
    let report = private(servers::mapped_with("224.0.0.1:5000", "2001:0:a00:1::"));
    assert_eq!(report.faults[0].code(), "mapped-address");
}

#[test]
fn another_service_has_its_prefix() {
    let mut world = World::new(Nat::NONE, servers::prefix("3ffe:831f:c633:6401::"));
    assert!(!world.ask().works());
    let mut world = World::new(Nat::NONE, servers::prefix("3ffe:831f:c633:6401::"));
    world.prefix = ServicePrefix::new(0x3ffe_831f);
    assert!(world.ask().works());
}

/// Lost datagrams are sent anew.
#[test]
fn two_of_three_may_be_lost() {
    let mut world = World::new(Nat::NONE, server());
    world.lose = 2;
    let report = world.ask();
    assert!(report.works(), "{:?}", report.faults);
}

/// Silence takes all of the time only where nothing has been heard.
#[test]
fn a_question_is_given_up_early() {
    let mut world = World::new(Nat::NONE, servers::silent());
    world.ask();
    assert_eq!(world.elapsed(), Duration::from_secs(5));
    let mut world = World::new(Nat::NONE, servers::primary_only());
    world.ask();
    assert!(
        world.elapsed() < Duration::from_secs(2),
        "{:?}",
        world.elapsed()
    );
}

#[test]
fn a_refusal_ends_it() {
    let mut world = World::new(Nat::NONE, servers::silent());
    world.refuses = true;
    let report = world.ask();
    assert_eq!(report.faults[0].code(), "refused");
    assert!(
        world.elapsed() < Duration::from_secs(1),
        "{:?}",
        world.elapsed()
    );
}

/// Whoever guesses the port and not the nonce changes nothing.
#[test]
fn a_forged_answer_does_not_count() {
    let report = World::new(Nat::NONE, servers::forged_first()).ask();
    assert!(report.works(), "{:?}", report.faults);
    assert_eq!(report.primary.unwrap().mapped.port(), 5000);
}

/// What the system here does not send says nothing of the server.
#[test]
fn not_sent_is_no_verdict() {
    let mut world = World::new(Nat::NONE, server());
    world.fails = Some("send 198.51.100.1:3544: not permitted");
    let report: Report = world.ask();
    assert!(report.is_unknown());
    assert_eq!(
        report.faults[0].to_string(),
        "send 198.51.100.1:3544: not permitted"
    );
    assert!(matches!(
        world.outcome(Question::Cone),
        Some(Outcome::Failed(_))
    ));
}

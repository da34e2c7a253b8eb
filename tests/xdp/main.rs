//! The program in the driver decides as the server does: each vector, each entry of the fuzz corpus and a million generated
//! datagrams go through both, the program as the kernel runs it (`BPF_PROG_TEST_RUN`).
//!
//! | module | what it is for |
//! | --- | --- |
//! | `frame` | a datagram in Ethernet, IPv4 and UDP, written and read |
//! | `solicitation` | what it answers, by chance |
//! | `pair` | a program and a server with the same settings |
//! | `limit` | the limit of one source, with a given clock |
//!
//! It is not sure of everything, and lets that pass: `pair::expected` says exactly of what. So a program that lets too much pass
//! fails, too.
#![cfg(target_os = "linux")]
#![cfg(feature = "xdp")]
#![forbid(unsafe_code)]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that overflows or panics has failed"
)]

#[path = "../fuzz/bodies.rs"]
#[expect(dead_code, reason = "configuration files are for tests/conf.rs")]
mod bodies;
mod frame;
#[path = "../generate/mod.rs"]
mod generate;
mod limit;
mod pair;
mod solicitation;
#[path = "../vectors/mod.rs"]
#[expect(dead_code, reason = "the outcomes are for tests/rules.rs")]
mod vectors;

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;

use frame::Frame;
use generate::{damaged, sensible};
use miredo_server::wire::address::ALL_ROUTERS;
use pair::{Pair, Pairs, Seen};
use platform::accelerator::Drop;
use platform::{DATAGRAM_MAX, Via};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Whether this kernel lets this process load programs. Where it does not, nothing is tested, and that is said.
fn allowed() -> bool {
    match Pair::try_new(bodies::settings(0)) {
        Ok(_) => true,
        Err(error) if std::env::var_os("CI").is_some() => panic!("{error}"),
        Err(error) => {
            println!("SKIPPED: {error}");
            false
        }
    }
}

#[test]
fn vectors_have_their_verdict() {
    if !allowed() {
        return;
    }
    let mut pairs = Pairs::default();
    for vector in vectors::all().unwrap() {
        // Only the limits look at more than one.
        let mut settings = vector.settings.clone();
        settings.policy.rate_limit = None;
        // A truncated datagram is one that was longer.
        let mut bytes = vector.bytes.clone();
        if vector.truncated {
            bytes.resize(DATAGRAM_MAX + 1, 0);
        }
        let frame = Frame::new(vector.from, vector.via, &bytes);
        pairs.with(&settings).compare(&frame, &vector.name);
    }
    pairs.check_counts();
}

#[test]
fn corpus_has_its_verdict() {
    if !allowed() {
        return;
    }
    let mut pairs = Pairs::default();
    let mut count = 0;
    for target in ["handle", "wire"] {
        for entry in fs::read_dir(format!("tests/fuzz/corpus/{target}")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            let data = fs::read(&path).unwrap();
            let (bits, from, bytes) = match (target, data.as_slice()) {
                ("handle", [bits, a, b, c, d, p0, p1, bytes @ ..]) => {
                    let address = Ipv4Addr::new(*a, *b, *c, *d);
                    let port = u16::from_be_bytes([*p0, *p1]);
                    (*bits, SocketAddrV4::new(address, port), bytes)
                }
                ("handle", _) => continue,
                (_, bytes) => (0, SocketAddrV4::new([203, 0, 113, 9].into(), 40_000), bytes),
            };
            let frame = Frame::new(from, via(bits), bytes.get(..DATAGRAM_MAX).unwrap_or(bytes));
            pairs.with(&bodies::settings(bits)).compare(&frame, &name);
            count += 1;
        }
    }
    assert!(count >= 500, "only {count} entries");
    pairs.check_counts();
}

/// One in 65536 has the sum of which the checksum is zero, which would say that there is none (RFC 768).
#[test]
fn an_answer_has_a_checksum_that_is_not_zero() {
    if !allowed() {
        return;
    }
    let mut pair = Pair::try_new(bodies::settings(0)).unwrap();
    let from = SocketAddrV4::new([203, 0, 113, 9].into(), 40_000);
    let mut bytes = vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(limit::solicitation(from));
    let question = Frame::new(from, Via::Primary, &bytes);
    let Frame(answer) = pair.compare(&question, "zero nonce");
    // As a word of the nonce, it adds to the sum what is missing.
    bytes[4..6].copy_from_slice(&answer[40..42]);
    let question = Frame::new(from, Via::Primary, &bytes);
    let Frame(answer) = pair.compare(&question, "chosen nonce");
    assert_eq!(answer[40..42], [0xff; 2]);
}

/// What chance meets seldom or never.
#[test]
fn what_is_for_others_or_wrong_passes() {
    if !allowed() {
        return;
    }
    let from = SocketAddrV4::new([203, 0, 113, 9].into(), 40_000);
    let Frame(question) = Frame::new(from, Via::Primary, &limit::solicitation(from));
    for (bits, at, octets) in [
        // Nobody's address, where the server has no second one.
        (bodies::ONE_ADDRESS, 30, &[0, 0, 0, 0][..]),
        (bodies::ONE_ADDRESS, 30, &frame::SECONDARY.octets()),
        (0, 30, &[255; 4]),
        // From a group, to a group, to another host.
        (0, 6, &[3, 0, 0, 0, 0, 2]),
        (0, 0, &[1, 0, 0x5e, 0, 2, 1]),
        (0, 0, &[255; 6]),
        (0, 0, &[2, 0, 0, 0, 0, 9]),
        // A VLAN, the first fragment, the last one.
        (0, 12, &[0x81, 0]),
        (0, 20, &[0x20, 0]),
        (0, 20, &[0, 1]),
    ] {
        let mut frame = question.clone();
        frame[at..at + octets.len()].copy_from_slice(octets);
        let mut frame = Frame(frame);
        frame.correct();
        let mut pair = Pair::try_new(bodies::settings(bits)).unwrap();
        let Frame(after) = pair.compare(&frame, "for others");
        assert_eq!(after, frame.0, "{octets:?} at {at}");
    }
    // The checksums of IPv4 and UDP, wrong.
    for at in [24, 40] {
        let mut frame = Frame(question.clone());
        frame.0[at] ^= 1;
        let mut pair = Pair::try_new(bodies::settings(0)).unwrap();
        let Frame(after) = pair.compare(&frame, "wrong");
        assert_eq!(after, frame.0, "{at}");
    }
}

/// One step beyond each rule that chance seldom meets by one step.
#[test]
fn one_step_too_far_has_its_verdict() {
    if !allowed() {
        return;
    }
    let from = SocketAddrV4::new([203, 0, 113, 9].into(), 40_000);
    let ask = |source: &str, options: &[u8]| {
        solicitation::packet(source.parse().unwrap(), ALL_ROUTERS, options)
    };
    let not_quite_a_bubble = {
        let mut packet = ask("fe80::1", &[]);
        packet[6] = 59;
        packet
    };
    // A Teredo address with another port, or another address, than it came from.
    let mapped = |port: u16, address: u32| {
        let [port, address] = [u32::from(!port), !address];
        let [high, low] = [address >> 16, address & 0xffff];
        format!("2001:0:c000:201:0:{port:x}:{high:x}:{low:x}")
    };
    let address = from.ip().to_bits();
    let mut longer = ask("fe80::1", &[]);
    longer.resize(DATAGRAM_MAX + 1, 0);
    let mut longest = longer.clone();
    longest.truncate(DATAGRAM_MAX);
    let mut pair = Pair::try_new(bodies::settings(0)).unwrap();
    for (name, bytes) in [
        ("bubble with a payload", not_quite_a_bubble),
        ("empty option", ask("fe80::1", &[1, 0, 0, 0, 0, 0, 0, 0])),
        ("site-local", ask("fec0::1", &[])),
        ("its own", ask(&mapped(40_000, address), &[])),
        ("another port", ask(&mapped(40_001, address), &[])),
        ("another address", ask(&mapped(40_000, address + 1), &[])),
        ("longest", longest),
        ("longer", longer),
    ] {
        pair.compare(&Frame::new(from, Via::Primary, &bytes), name);
    }
    // Two octets behind the UDP datagram, inside of the IPv4 packet.
    let mut frame = Frame::new(from, Via::Primary, &ask("fe80::1", &[]));
    frame.0.extend([0, 0]);
    frame.0[17] += 2;
    frame.correct();
    pair.compare(&frame, "IPv4 packet longer than the datagram");
    pair.check_counts();
    let counts = pair.counts();
    assert_eq!(
        (
            counts.advertisements,
            counts.dropped[Drop::NextHeader as usize]
        ),
        (2, 1)
    );
}

/// Each generated datagram is followed by variants of it, which cost less to make.
#[test]
fn generated_ones_have_their_verdict() {
    if !allowed() {
        return;
    }
    const GENERATED: u32 = 50_000;
    const VARIANTS: u32 = 19;
    let threads =
        [1, 2].map(|seed| thread::spawn(move || generated(seed, GENERATED / 2, VARIANTS)));
    let seen = threads.map(|thread| thread.join().unwrap());
    let total: u64 = seen.iter().map(|seen| seen.compared).sum();
    assert_eq!(total, u64::from(GENERATED * (VARIANTS + 1)));
    // What never gets anywhere would agree with anything.
    for seen in seen {
        println!("{seen:?}");
        assert!(seen.answered > 5_000 && seen.passed > 50_000, "{seen:?}");
        for (reason, count) in seen.dropped {
            assert!(count > 500, "{reason:?}: {count}");
        }
    }
}

/// Compares so many datagrams, and variants of each. Every second one begins as a solicitation.
fn generated(seed: u8, datagrams: u32, variants: u32) -> Seen {
    let mut pairs = Pairs::default();
    let mut chance = Chance(seed.into());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for number in 0..datagrams {
        let mut input = match number % 4 {
            0 => damaged().new_tree(&mut runner).unwrap().current(),
            _ => sensible().new_tree(&mut runner).unwrap().current(),
        };
        if number % 2 == 1 {
            if number % 8 != 1 {
                input.from = SocketAddrV4::new([203, 0, 113, 9].into(), 40_000);
                input.bits &= !bodies::REQUIRED;
            }
            input.bytes = solicitation::solicitation(input.from, &mut chance);
        }
        let bytes = bodies::with_value(input.bits, &input.bytes);
        let whole = Frame::new(input.from, via(input.bits), &bytes);
        let pair = pairs.with(&bodies::settings(input.bits));
        pair.compare(&whole, "generated");
        for _ in 0..variants {
            let mut frame = whole.clone();
            for _ in 0..=chance.below(3) {
                frame.vary(&mut chance);
            }
            pair.compare(&frame, "variant");
        }
    }
    pairs.check_counts();
    pairs.seen()
}

fn via(bits: u8) -> Via {
    match bits & bodies::SECONDARY {
        0 => Via::Primary,
        _ => Via::Secondary,
    }
}

/// Numbers by chance, the same in each run (Marsaglia, Xorshift RNGs, 2003).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let Self(state) = self;
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state >> 33).unwrap() % bound
    }

    pub(crate) fn octet(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

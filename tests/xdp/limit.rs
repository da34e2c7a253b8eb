//! The limit of one source, with a given clock: the server's own is the model.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use miredo_server::acceleration::rules;
use miredo_server::limit::RateLimit;
use miredo_server::server::{Arrival, Server, Settings};
use miredo_server::verdict::{Reason, Verdict};
use miredo_server::wire::address::{ALL_ROUTERS, link_local};
use miredo_server::wire::discovery::RouterSolicitation;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use platform::accelerator::Drop;
use platform::xdp::{Clock, Program, XDP_DROP, XDP_TX};
use platform::{REPLY_MAX, Via};

use crate::frame::{Frame, OURS};
use crate::{Chance, allowed, bodies};

const VICTIM: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

fn limited(packets_per_second: u32, burst: u32) -> Settings {
    let mut settings = bodies::settings(0);
    settings.policy.rate_limit = Some(RateLimit {
        packets_per_second: NonZeroU32::new(packets_per_second).unwrap(),
        burst: NonZeroU32::new(burst).unwrap(),
    });
    settings
}

/// A program whose accounts are those of one processor, on which this thread stays.
fn program(settings: &Settings) -> Program {
    let mine = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let first = (0..CpuSet::count()).find(|cpu| mine.is_set(*cpu).unwrap());
    let mut one = CpuSet::new();
    one.set(first.unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
    let bound = (settings.primary, settings.secondary);
    Program::load(&rules(settings, bound, true), OURS, Clock::Test).unwrap()
}

pub(crate) fn solicitation(from: SocketAddrV4) -> Vec<u8> {
    let solicitation = RouterSolicitation {
        source: link_local(0, from),
        destination: ALL_ROUTERS,
    };
    let mut bytes = vec![0; 48];
    assert!(solicitation.emit(&mut bytes).unwrap().is_empty());
    bytes
}

fn source(address: u32, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(address.into(), port)
}

fn is_answered(program: &mut Program, from: SocketAddrV4) -> bool {
    let Frame(frame) = Frame::new(from, Via::Primary, &solicitation(from));
    match program.run(&frame).unwrap().action {
        XDP_TX => true,
        XDP_DROP => false,
        action => panic!("{action} for {from}"),
    }
}

/// Times that run backwards are in it: on two processors, one packet's time may be before an earlier one's.
#[test]
fn each_source_has_what_the_server_grants() {
    if !allowed() {
        return;
    }
    for (rate, burst, step) in [
        (10, 3, 90_000_000),
        (1000, 1, 700_000),
        (u32::MAX, u32::MAX, 2),
    ] {
        let settings = limited(rate, burst);
        let (mut program, mut server) = (program(&settings), Server::new(settings));
        let mut chance = Chance(u64::from(rate));
        let start = Instant::now();
        let (mut now, mut answered, mut dropped) = (0, 0, 0);
        for _ in 0..20_000 {
            now += u64::try_from(chance.below(step)).unwrap();
            let time = now.saturating_sub(u64::try_from(chance.below(step / 2)).unwrap());
            let from = source(
                VICTIM.to_bits() + u32::try_from(chance.below(3)).unwrap(),
                4000,
            );
            let bytes = solicitation(from);
            let arrival = Arrival {
                bytes: &bytes,
                truncated: false,
                from,
                via: Via::Primary,
                at: start + Duration::from_nanos(time),
            };
            // The server's time begins with its first packet.
            if answered + dropped == 0 {
                let first = Arrival {
                    at: start,
                    ..arrival
                };
                let _ = server.handle(&first, &mut [0; REPLY_MAX]);
                program.set_clock(0).unwrap();
                assert!(is_answered(&mut program, from));
            }
            let expected = match server.handle(&arrival, &mut [0; REPLY_MAX]) {
                Verdict::Send(_) => true,
                Verdict::Drop(Reason::RateLimited) => false,
                Verdict::Drop(reason) => panic!("{reason}"),
            };
            program.set_clock(time).unwrap();
            assert_eq!(
                is_answered(&mut program, from),
                expected,
                "{from} at {time}"
            );
            if expected {
                answered += 1
            } else {
                dropped += 1
            }
        }
        let counts = program.counts().unwrap();
        assert_eq!(counts.advertisements, answered + 1);
        assert_eq!(counts.dropped[Drop::RateLimited as usize], dropped);
        assert!(answered > 1000 && (dropped > 1000 || rate == u32::MAX));
    }
}

/// Whatever port they come from.
#[test]
fn the_address_counts_and_not_the_port() {
    if !allowed() {
        return;
    }
    let mut program = program(&limited(1, 2));
    program.set_clock(1).unwrap();
    let answered =
        (1..=100).filter(|port| is_answered(&mut program, source(VICTIM.to_bits(), *port)));
    assert_eq!(answered.count(), 2);
}

/// Far more of them than there are accounts.
#[test]
fn nobody_pays_for_others_and_a_victim_is_not_forgotten() {
    if !allowed() {
        return;
    }
    let mut program = program(&limited(1, 10));
    program.set_clock(1_000_000_000).unwrap();
    let mut to_victim = 0;
    for other in 0..100_000 {
        to_victim += u32::from(is_answered(&mut program, source(VICTIM.to_bits(), 4000)));
        let other = source(0x0b00_0001 + other * 7, 4000);
        assert!(is_answered(&mut program, other), "{other}");
    }
    assert_eq!(to_victim, 10);
}

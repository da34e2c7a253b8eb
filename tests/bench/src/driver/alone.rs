//! Nanoseconds that the program takes for a frame, above one that does nothing: single runs, warm (`BPF_PROG_TEST_RUN`).

use std::net::{Ipv4Addr, SocketAddrV4};

use clap::Args;
use miredo_server::acceleration::rules;
use miredo_server::wire::TEREDO_PORT;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use platform::accelerator::Limit;
use platform::xdp::bench::Empty;
use platform::xdp::{Clock, Program, Run, XDP_DROP, XDP_PASS, XDP_TX};

use super::frame::{HEADERS, frame, named, of, plain};
use super::settings::{limit, settings};
use crate::Fault;
use crate::report;
use crate::traffic::{Kind, Target};

#[derive(Args)]
pub(crate) struct AloneArgs {
    /// How often each frame is measured; the results are medians.
    #[arg(long, default_value_t = 60)]
    rounds: usize,
}

const PRIMARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 10), 40_000);
const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 20), 41_000);
/// The interface and its neighbour.
const ETHERNET: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
/// Clients that ask in turn, so that none is over the limit.
const CLIENTS: u8 = 64;
/// Runs in a row, and how many of them are not measured, because the caches still hold something else.
const RUNS: usize = 64;
const COLD: usize = 8;
/// Lengths in bytes of the packets in an answer: advertisement and origin indication, authentication header.
const ANSWER: usize = HEADERS + 96 + 8;
const AUTHENTICATION: usize = 13;

struct Case {
    name: &'static str,
    /// Over the limit.
    over: bool,
    frames: Vec<Vec<u8>>,
    action: u32,
    /// Of the frame afterwards, in bytes.
    length: usize,
}

pub(crate) fn main(args: &AloneArgs) -> Result<(), Fault> {
    stay()?;
    let settings = settings(PRIMARY, limit(10_000));
    let mut rules = rules(&settings, (settings.primary, settings.secondary), true);
    let [ethernet, _] = [ETHERNET.0, ETHERNET.1];
    let mut program = Program::load(&rules, ethernet, Clock::Kernel)?;
    // One packet each quarter of an hour.
    rules.limit = Some(Limit {
        interval: 900_000_000_000,
        tolerance: 0,
    });
    let mut strict = Program::load(&rules, ethernet, Clock::Kernel)?;
    let mut empty = Empty::load()?;
    println!("  {:40}{:>12}{:>22}", "", "ns above", "half of all within");
    for case in cases()? {
        let program = match case.over {
            true => &mut strict,
            false => &mut program,
        };
        if let (true, Some(frame)) = (case.over, case.frames.first()) {
            program.run(frame)?;
        }
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            runs(&case.frames, &mut without, |frame| Ok(empty.run(frame)?))?;
            runs(&case.frames, &mut with, |frame| {
                let run = program.run(frame)?;
                let (action, length) = (run.action, run.frame.len());
                match (action, length) == (case.action, case.length) {
                    true => Ok(run),
                    false => Err(format!("{}: action {action}, {length} bytes", case.name).into()),
                }
            })?;
        }
        let least = report::median(&without);
        let above = |part: f64| quantile(&with, part) - least;
        let line = report::line(case.name, above(0.5));
        println!("{line}{:12.0} ..{:8.0}", above(0.25), above(0.75));
        if case.name == FIRST {
            println!("{}", report::line("(the empty program itself)", least));
        }
    }
    Ok(())
}

/// Runs each frame in turn, and notes how many nanoseconds the warm runs took.
fn runs(
    frames: &[Vec<u8>],
    times: &mut Vec<f64>,
    mut run: impl FnMut(&[u8]) -> Result<Run, Fault>,
) -> Result<(), Fault> {
    for (number, frame) in frames.iter().cycle().take(RUNS).enumerate() {
        let time = run(frame)?.time.as_nanos() as f64;
        if number >= COLD {
            times.push(time);
        }
    }
    Ok(())
}

fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len() as f64 * part) as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

const FIRST: &str = "a solicitation is answered";

fn cases() -> Result<Vec<Case>, Fault> {
    let target = Target::at(PRIMARY);
    let clients = |payload: &dyn Fn(SocketAddrV4) -> Result<Vec<u8>, Fault>| {
        let frames = (1..=CLIENTS).map(|last| {
            let client = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, last), CLIENT.port());
            frame(ETHERNET, client, target.primary, &payload(client)?)
        });
        frames.collect::<Result<Vec<_>, Fault>>()
    };
    let one = |from, to, payload: &[u8]| Ok::<_, Fault>(vec![frame(ETHERNET, from, to, payload)?]);
    let from = |payload: &[u8]| one(CLIENT, target.primary, payload);
    let authenticated = |client| of(Kind::Solicitation, client, PEER, target);
    let mut long = plain(CLIENT)?;
    let solicitation = long.clone();
    let mut forwarded = long.clone();
    // The payload length points past the end; the next header is UDP.
    for (packet, at, value) in [(&mut long, 5, 0x20), (&mut forwarded, 6, 17)] {
        *packet.get_mut(at).ok_or("a short solicitation")? = value;
    }
    let at = |address: [u8; 4], port| {
        let source = SocketAddrV4::new(address.into(), port);
        one(source, target.primary, &solicitation)
    };
    let case = |name, action, frames: Vec<Vec<u8>>, length: Option<usize>| {
        let length = length.or(frames.first().map(Vec::len));
        Case {
            name,
            over: false,
            frames,
            action,
            length: length.unwrap_or_default(),
        }
    };
    let answer = |name, frames, length| case(name, XDP_TX, frames, Some(length));
    let drop = |name, frames| case(name, XDP_DROP, frames, None);
    let pass = |name, frames| case(name, XDP_PASS, frames, None);
    let other = SocketAddrV4::new(PRIMARY, 53);
    Ok(vec![
        answer(FIRST, clients(&plain)?, ANSWER),
        answer(
            "the same with authentication",
            clients(&authenticated)?,
            ANSWER + AUTHENTICATION,
        ),
        Case {
            over: true,
            ..drop("dropped: over the limit", from(&solicitation)?)
        },
        drop("dropped: source port 0", at([198, 51, 100, 10], 0)?),
        drop(
            "dropped: source address private",
            at([10, 0, 0, 1], 40_000)?,
        ),
        drop(
            "dropped: source is the server",
            at([192, 0, 2, 1], TEREDO_PORT)?,
        ),
        drop(
            "dropped: authentication cut short",
            from(&[0, 1, 0, 0, 1, 2])?,
        ),
        drop("dropped: origin cut short", from(&[0, 0, 1, 2])?),
        drop("dropped: IPv6 header cut short", from(&[0x60; 39])?),
        drop(
            "dropped: no IPv6",
            from(&of(Kind::Junk, CLIENT, PEER, target)?)?,
        ),
        drop("dropped: payload length", from(&long)?),
        drop("dropped: next header", from(&forwarded)?),
        pass(
            "passes: a bubble",
            from(&of(Kind::Bubble, CLIENT, PEER, target)?)?,
        ),
        pass(
            "passes: an echo request",
            from(&of(Kind::Echo, CLIENT, PEER, target)?)?,
        ),
        pass(
            "passes: a solicitation with identifier",
            from(&named(CLIENT)?)?,
        ),
        pass(
            "passes: what is not for the server",
            one(CLIENT, other, &solicitation)?,
        ),
    ])
}

/// Stays on the last processor: accounts and counters are each processor's own.
fn stay() -> Result<(), Fault> {
    let mine = sched_getaffinity(Pid::from_raw(0))?;
    let last = (0..CpuSet::count()).rfind(|core| mine.is_set(*core).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(last.ok_or("no processor")?)?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    Ok(())
}

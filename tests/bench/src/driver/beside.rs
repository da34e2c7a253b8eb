//! The program and servers on sockets under the same loads, again and again.
//!
//! Each server has a cable of its own, with a program at its end: the empty one, or that of the server. All but one are idle at
//! any time. Questions come from a program, too, which runs on the processor of the clients, and so do what counts the answers
//! and the honest client with its sockets. The driver of the servers' end and the servers share the other processor.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use platform::xdp::bench::{FIRST_EPHEMERAL, Questions};

use super::frame::{frame, named, of};
use super::settings::{limit, settings};
use super::side::Side;
use crate::Fault;
use crate::compare::{Scratch, ours_beside};
use crate::load::{Load, Pace};
use crate::plan::{
    CLIENT_ADDRESSES, CLIENTS, FLOOD_8, FLOOD_24, FLOOD_ONE, INSIDE_8, INSIDE_16, INSIDE_24,
    REFERENCE, SERVERS,
};
use crate::report::{Results, print};
use crate::subject::Program;
use crate::traffic::{Kind, Target};

#[derive(Args)]
pub(crate) struct BesideArgs {
    /// Ours; the one beside this program unless told.
    #[arg(long)]
    ours: Option<PathBuf>,
    /// The C server; left out where it is not installed.
    #[arg(long, default_value = "/usr/sbin/miredo-server")]
    reference: PathBuf,
    /// How often each load is run against each subject.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// For how long.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// One round of short loads, to see that all works.
    #[arg(long)]
    quick: bool,
    /// Only loads whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Where to write every measurement as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// A load, and those that bear it in turn.
struct Cell {
    name: &'static str,
    what: What,
    subjects: &'static [&'static str],
    /// So often in each round.
    times: usize,
    shown: &'static [&'static str],
}

enum What {
    /// Clients with sockets, in a closed loop.
    Sockets,
    /// Frames at a rate; without one, at the highest that the rings take from ours in the driver.
    Frames(Questions, Option<u32>),
    /// The same, at that rate, and an honest client with sockets beside them.
    Flood(Questions),
}

/// Up to this rate, in frames a second, a driver takes turns with the server on its processor.
const MODERATE: u32 = 100_000;

/// What is compared with what.
const BASES: [&str; 3] = ["floor", REFERENCE, "ours, empty program"];
const SOCKETS: &str = "ours, empty program";
const DRIVER: &str = "ours, driver";
const SOCKETS_LIMITED: &str = "ours, empty program, limit";
const DRIVER_LIMITED: &str = "ours, driver, limit";
const ALL: &[&str] = &["floor", REFERENCE, SOCKETS, DRIVER];
const FLOODED: &[&str] = &["floor", REFERENCE, SOCKETS_LIMITED, DRIVER_LIMITED];
const RATE: &[&str] = &["answers/s", "cpu ns/answer", "answers/s, a core"];
const ANSWERS: &[&str] = &[
    "asked/s",
    "answers/s",
    "answered %",
    "bytes/answer",
    "cpu %",
    "cpu ns/answer",
    "answers/s, a core",
    "questions lost",
    "answers lost",
];
const PASSED: &[&str] = &["answers/s", "answered %", "cpu ns/question"];
const LOSS: &[&str] = &[
    "honest answered %",
    "flood/s",
    "cpu %",
    "cpu ns/question",
    "questions lost",
    "answers lost",
];

pub(crate) fn main(args: &BesideArgs) -> Result<(), Fault> {
    let (rounds, seconds) = match args.quick {
        true => (1, 0.3),
        false => (args.rounds, args.seconds),
    };
    let dir = Scratch::new()?;
    let sides = sides(args, &dir)?;
    let first = sides.first().ok_or("no subject")?;
    let cells = cells()?;
    let cells: Vec<_> = cells
        .into_iter()
        .filter(|cell| cell.name.contains(&args.only))
        .collect();
    println!(
        "{} cores for servers and their driver, {} for clients and theirs; medians of {} rounds of {} s, interleaved",
        first.cable.lab.servers.core_count(),
        first.cable.lab.clients.core_count(),
        rounds,
        seconds
    );
    let mut rates = Vec::new();
    for cell in &cells {
        rates.push(rate(cell, &sides)?);
    }
    let mut results = Results::default();
    let time = Duration::from_secs_f64(seconds);
    for _ in 0..rounds {
        for (cell, rate) in cells.iter().zip(&rates) {
            for _ in 0..cell.times {
                for name in cell.subjects {
                    if let Some(side) = sides.iter().find(|side| side.name == *name) {
                        let metrics = measure(cell, *rate, side, time / cell.times as u32)?;
                        results.add(cell.name, name, metrics);
                    }
                }
            }
        }
    }
    print(&results, &BASES, |name| {
        cells
            .iter()
            .find(|cell| cell.name == name)
            .map(|cell| cell.shown)
    });
    if let Some(path) = &args.json {
        fs::write(path, results.json().to_string())
            .map_err(|error| format!("write {}: {error}", path.display()))?;
    }
    Ok(())
}

fn sides(args: &BesideArgs, dir: &Scratch) -> Result<Vec<Side>, Fault> {
    let ours = ours_beside(args.ours.as_ref())?;
    let server = |directives: &str| Program::Server(ours.clone(), directives.to_owned());
    // Each worker's limit is the default.
    let [unlimited, limited] = [0, 10_000].map(|packets| settings(SERVERS, limit(packets)));
    let mut subjects = vec![
        ("floor", Program::Floor(String::new()), None),
        (SOCKETS, server("Workers 1\nRateLimit 0\n"), None),
        (DRIVER, server("Workers 1\nRateLimit 0\n"), Some(&unlimited)),
        (SOCKETS_LIMITED, server("Workers 1\n"), None),
        (DRIVER_LIMITED, server("Workers 1\n"), Some(&limited)),
    ];
    match args.reference.exists() {
        true => {
            let program = Program::Server(args.reference.clone(), String::new());
            subjects.push((REFERENCE, program, None));
        }
        false => eprintln!("SKIPPED: the reference: no {}", args.reference.display()),
    }
    let sides = subjects
        .iter()
        .map(|(name, program, settings)| Side::start(name, program, *settings, dir.path()));
    sides.collect()
}

/// At which rate the frames of a cell come.
fn rate(cell: &Cell, sides: &[Side]) -> Result<u32, Fault> {
    let (questions, by) = match &cell.what {
        What::Sockets => return Ok(0),
        What::Frames(_, Some(rate)) => return Ok(*rate),
        What::Frames(questions, None) => (questions, DRIVER),
        What::Flood(questions) => (questions, DRIVER_LIMITED),
    };
    let side = sides.iter().find(|side| side.name == by);
    let side = side.ok_or("ours is not there")?;
    side.cable.prefer(true)?;
    let rate = side.highest(&addressed(questions, side)?)?;
    println!("  {:60} no ring is too short at {rate}/s", cell.name);
    Ok(rate)
}

fn measure(
    cell: &Cell,
    rate: u32,
    side: &Side,
    time: Duration,
) -> Result<Vec<(&'static str, f64)>, Fault> {
    let load = |pace| Load {
        target: Target::at(SERVERS),
        kind: Kind::Solicitation,
        from: CLIENTS,
        addresses: CLIENT_ADDRESSES,
        threads: 1,
        sockets: 16,
        pace,
        time,
    };
    let questions = |questions: &Questions| {
        Ok::<_, Fault>(Questions {
            rate,
            ..addressed(questions, side)?
        })
    };
    let is_fast = matches!(cell.what, What::Frames(_, None) | What::Flood(_)) || rate > MODERATE;
    side.cable.prefer(is_fast)?;
    match &cell.what {
        What::Sockets => side.load(&load(Pace::Window(8))),
        What::Frames(frames, _) => {
            let (outcome, ()) = side.ask(&questions(frames)?, time, || Ok(()))?;
            Ok(outcome.metrics())
        }
        What::Flood(frames) => {
            let load = load(Pace::Rate(1000));
            let (outcome, honest) = side.ask(&questions(frames)?, time, || load.run())?;
            let mut metrics = outcome.metrics();
            let asked = metrics.iter().find(|(name, _)| *name == "asked/s");
            let flood = asked.map_or(f64::NAN, |(_, rate)| *rate);
            metrics.push(("flood/s", flood));
            metrics.push(("honest answered %", 100.0 * honest.answered_part()));
            Ok(metrics)
        }
    }
}

/// The questions with the Ethernet addresses of this cable.
fn addressed(questions: &Questions, side: &Side) -> Result<Questions, Fault> {
    let mut questions = questions.clone();
    let (to, from) = side.cable.ethernet();
    let place = questions.frame.get_mut(..12).ok_or("a short frame")?;
    place.copy_from_slice(&[to, from].concat());
    Ok(questions)
}

fn cells() -> Result<Vec<Cell>, Fault> {
    let target = Target::at(SERVERS);
    // Of a client that always has the same port, since the packet says which.
    let client = SocketAddrV4::new(FLOOD_ONE.0, PORT);
    let peer = SocketAddrV4::new(PEER, PORT);
    let asking = |sources| {
        questions(
            sources,
            PORTS,
            &of(Kind::Solicitation, client, peer, target)?,
        )
    };
    let junk = questions(FLOOD_ONE, PORTS, &of(Kind::Junk, client, peer, target)?)?;
    let one = |kind| questions(FLOOD_ONE, 1, &of(kind, client, peer, target)?);
    let named = questions(FLOOD_ONE, 1, &named(client)?)?;
    let cell = |name, what, subjects, shown| Cell {
        name,
        what,
        subjects,
        times: 1,
        shown,
    };
    let frames = |name, frames, rate| cell(name, What::Frames(frames, rate), ALL, ANSWERS);
    let flood = |name, frames| cell(name, What::Flood(frames), FLOODED, LOSS);
    let passes = |name, frames| Cell {
        times: 5,
        ..cell(
            name,
            What::Frames(frames, Some(50_000)),
            &[SOCKETS, DRIVER],
            PASSED,
        )
    };
    Ok(vec![
        cell("solicitations of sockets", What::Sockets, ALL, RATE),
        frames("100,000 solicitations/s", asking(FLOOD_24)?, Some(100_000)),
        frames(
            "solicitations, as many as the rings take",
            asking(FLOOD_24)?,
            None,
        ),
        cell(
            "solicitations, more than the rings take",
            What::Frames(asking(FLOOD_24)?, Some(2_000_000)),
            &[DRIVER],
            ANSWERS,
        ),
        passes("50,000 bubbles/s, which pass", one(Kind::Bubble)?),
        passes("50,000 echoes/s, which pass", one(Kind::Echo)?),
        passes("50,000 solicitations/s with identifier, which pass", named),
        flood(
            "1,000/s under a flood of solicitations from one source",
            asking(FLOOD_ONE)?,
        ),
        flood("1,000/s under a flood of junk from one source", junk),
        flood(
            "1,000/s under a flood of solicitations from a /24",
            asking(FLOOD_24)?,
        ),
        flood(
            "1,000/s under a flood of solicitations from a /8",
            asking(FLOOD_8)?,
        ),
        flood(
            "1,000/s inside a /24 that floods solicitations",
            asking(INSIDE_24)?,
        ),
        flood(
            "1,000/s inside a /16 that floods solicitations",
            asking(INSIDE_16)?,
        ),
        flood(
            "1,000/s inside a /8 that floods solicitations",
            asking(INSIDE_8)?,
        ),
    ])
}

/// The lowest port of clients in frames, and how many. All are below those that sockets have, so that the sink knows them apart.
const PORT: u16 = 1024;
const PORTS: u16 = 1024;
const _: () = assert!(PORT + PORTS <= FIRST_EPHEMERAL);
/// Where forwarded packets go.
const PEER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 60);

fn questions(
    (source, addresses): (Ipv4Addr, u32),
    ports: u16,
    payload: &[u8],
) -> Result<Questions, Fault> {
    let client = SocketAddrV4::new(source, PORT);
    Ok(Questions {
        frame: frame(
            ([0; 6], [0; 6]),
            client,
            Target::at(SERVERS).primary,
            payload,
        )?,
        source,
        addresses,
        port: PORT,
        ports,
        rate: 0,
    })
}

//! Runs the plan, again and again: each load against one subject after the other, so that all see the same machine.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::Fault;
use crate::load::{Load, Pace};
use crate::namespace::Lab;
use crate::plan::{CLIENT_ADDRESSES, CLIENTS, Cell, FLOORS, Means, REFERENCE, SERVERS};
use crate::report::{Results, print};
use crate::subject::Subject;
use crate::traffic::Kind;
use crate::usage::{self, Usage};

#[derive(Args)]
pub(crate) struct CompareArgs {
    /// Ours; the one beside this program unless told.
    #[arg(long)]
    ours: Option<PathBuf>,
    /// Another build of ours to compare, as NAME=PATH; may be repeated.
    #[arg(long, value_parser = named)]
    also: Vec<(String, PathBuf)>,
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
    /// No further load after so many seconds.
    #[arg(long, default_value_t = 210)]
    limit: u64,
    /// Only loads whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Where to write every measurement as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What is running, and what came of it.
struct Comparison {
    lab: Lab,
    subjects: Vec<Subject>,
    results: Results,
    idle: Duration,
}

pub(crate) fn main(args: &CompareArgs) -> Result<(), Fault> {
    let begin = Instant::now();
    let (rounds, seconds) = match args.quick {
        true => (1, 0.3),
        false => (args.rounds, args.seconds),
    };
    let clients = addresses(CLIENTS, CLIENT_ADDRESSES);
    // More than there are subjects.
    let lab = Lab::new(&addresses(SERVERS, 64), &clients)?;
    let means = Means {
        reference: args.reference.exists().then(|| args.reference.clone()),
        ours: ours(args)?,
        server_cores: lab.servers.core_count(),
        client_cores: lab.clients.core_count(),
        time: Duration::from_secs_f64(seconds),
    };
    if means.reference.is_none() {
        eprintln!("SKIPPED: the reference: no {}", args.reference.display());
    }
    let cells = means.cells();
    let dir = Scratch::new()?;
    let mut comparison = Comparison::start(lab, &means, dir.path())?;
    comparison.idle("idle, before the loads");
    'rounds: for _ in 0..rounds {
        for cell in cells.iter().filter(|cell| cell.name.contains(&args.only)) {
            if begin.elapsed() > Duration::from_secs(args.limit) {
                eprintln!("Out of time: the last loads ran less often.");
                break 'rounds;
            }
            comparison.run(cell)?;
        }
    }
    comparison.idle("idle, after the loads");
    println!(
        "{} cores for servers, {} for clients; medians of {rounds} rounds of {seconds} s, interleaved",
        means.server_cores, means.client_cores
    );
    let bases = FLOORS.into_iter().chain([REFERENCE]).collect::<Vec<_>>();
    print(&comparison.results, &bases, |name| {
        let cell = cells.iter().find(|cell| cell.name == name);
        cell.map(|cell| cell.shown)
    });
    if let Some(path) = &args.json {
        fs::write(path, comparison.results.json().to_string())
            .map_err(|error| format!("write {}: {error}", path.display()))?;
    }
    Ok(())
}

impl Comparison {
    /// Starts all subjects, each on its own addresses, and waits until all answer.
    fn start(lab: Lab, means: &Means, dir: &Path) -> Result<Self, Fault> {
        let mut subjects = Vec::new();
        let pairs = addresses(SERVERS, 64).into_iter().step_by(2);
        for ((name, program), at) in means.subjects().iter().zip(pairs) {
            subjects.push(Subject::start(name, program, at, &lab, dir)?);
        }
        for subject in &subjects {
            await_answer(&lab, subject)?;
        }
        Ok(Self {
            lab,
            subjects,
            results: Results::default(),
            idle: means.time.max(Duration::from_secs(1)),
        })
    }

    /// Runs one load against each of its subjects.
    fn run(&mut self, cell: &Cell) -> Result<(), Fault> {
        for name in &cell.subjects {
            let subjects = &self.subjects;
            let Some(subject) = subjects.iter().find(|subject| subject.name == *name) else {
                continue;
            };
            let before = self.lab.servers.within(usage::received)?;
            let mut metrics = self.lab.clients.within(|| measure(cell, subject))?;
            let received = self
                .lab
                .servers
                .within(usage::received)?
                .saturating_sub(before) as f64;
            metrics.push(("received/s", received / cell.load.time.as_secs_f64()));
            self.results.add(&cell.name, name, metrics);
        }
        Ok(())
    }

    /// Leaves all subjects alone, at the same time.
    fn idle(&mut self, name: &str) {
        // What the last load left in the sockets is none of this.
        thread::sleep(Duration::from_millis(200));
        let usages =
            |subjects: &[Subject]| -> Vec<Usage> { subjects.iter().map(Subject::usage).collect() };
        let before = usages(&self.subjects);
        thread::sleep(self.idle);
        let after = usages(&self.subjects);
        for ((subject, before), after) in self.subjects.iter().zip(before).zip(after) {
            let waits = after.waits.saturating_sub(before.waits) as f64;
            let mut metrics = memory(after);
            metrics.push(("wakeups/s", waits / self.idle.as_secs_f64()));
            metrics.push(("processes", after.processes as f64));
            metrics.push(("threads", after.threads as f64));
            self.results.add(name, &subject.name, metrics);
        }
    }
}

fn measure(cell: &Cell, subject: &Subject) -> Result<Vec<(&'static str, f64)>, Fault> {
    let load = Load {
        target: subject.target,
        ..cell.load.clone()
    };
    if let Some(rate) = cell.absent {
        let outcome = crate::absent::during(load.target, rate, || load.run())?;
        let mut metrics = outcome.metrics();
        metrics.push(("answered %", 100.0 * outcome.answered_part()));
        return Ok(metrics);
    }
    let Some(flood) = cell.flood else {
        let before = subject.usage();
        let outcome = load.run()?;
        let after = subject.usage();
        let cpu = after.cpu.saturating_sub(before.cpu) as f64 / 1000.0;
        let mut metrics = outcome.metrics();
        metrics.push(("cpu us/packet", cpu / outcome.answers() as f64));
        metrics.extend(memory(after));
        return Ok(metrics);
    };
    let flood = crate::flood::Flood {
        target: subject.target,
        ..flood
    };
    let (outcome, sent) = flood.during(|| load.run())?;
    let mut metrics = outcome.metrics();
    metrics.push(("answered %", 100.0 * outcome.answered_part()));
    metrics.push(("flood/s", sent as f64 / load.time.as_secs_f64()));
    metrics.extend(memory(subject.usage()));
    Ok(metrics)
}

fn memory(usage: Usage) -> Vec<(&'static str, f64)> {
    vec![
        ("resident MiB", usage.resident as f64 / 1024.0),
        ("proportional MiB", usage.proportional as f64 / 1024.0),
    ]
}

pub(crate) fn await_answer(lab: &Lab, subject: &Subject) -> Result<(), Fault> {
    let question = Load {
        target: subject.target,
        kind: Kind::Solicitation,
        from: CLIENTS,
        addresses: 1,
        threads: 1,
        sockets: 1,
        pace: Pace::Rate(100),
        time: Duration::from_millis(20),
    };
    let begin = Instant::now();
    while lab.clients.within(|| question.run())?.answers() == 0 {
        if begin.elapsed() > Duration::from_secs(10) {
            return Err(format!("{} does not answer\n{}", subject.name, subject.said()).into());
        }
    }
    Ok(())
}

/// Ours and other builds of it.
fn ours(args: &CompareArgs) -> Result<Vec<(String, PathBuf)>, Fault> {
    let mut all = vec![("ours".to_owned(), ours_beside(args.ours.as_ref())?)];
    all.extend(args.also.iter().cloned());
    Ok(all)
}

/// This build of ours, or the one beside this program.
pub(crate) fn ours_beside(told: Option<&PathBuf>) -> Result<PathBuf, Fault> {
    let beside = std::env::current_exe()?.with_file_name("miredo-server");
    let ours = told.cloned().unwrap_or(beside);
    match ours.exists() {
        true => Ok(ours),
        false => {
            let path = ours.display();
            Err(format!("no {path}: cargo build --release, or --ours PATH").into())
        }
    }
}

fn named(argument: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = argument.split_once('=').ok_or("not NAME=PATH")?;
    Ok((name.to_owned(), path.into()))
}

fn addresses(first: Ipv4Addr, count: u32) -> Vec<Ipv4Addr> {
    (0..count)
        .map(|number| Ipv4Addr::from_bits(first.to_bits() + number))
        .collect()
}

/// A directory for configurations, gone afterwards.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Result<Self, Fault> {
        let path = std::env::temp_dir().join(format!("miredo-bench-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("mkdir {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

//! Which loads are run against which subjects.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use crate::flood::Flood;
use crate::load::{Load, Pace};
use crate::subject::Program;
use crate::traffic::{Kind, Target};

/// The first of the servers' addresses; each server has two.
pub(crate) const SERVERS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The first address of the clients.
pub(crate) const CLIENTS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// How many they have.
pub(crate) const CLIENT_ADDRESSES: u32 = 16;
/// Nobody's, but routed to the clients' host.
pub(crate) const FLOOD_ONE: (Ipv4Addr, u32) = (Ipv4Addr::new(203, 0, 113, 7), 1);
pub(crate) const FLOOD_24: (Ipv4Addr, u32) = (Ipv4Addr::new(203, 0, 113, 0), 1 << 8);
// No network of this size is for documentation; none of its packets leaves the cable.
pub(crate) const FLOOD_8: (Ipv4Addr, u32) = (Ipv4Addr::new(11, 0, 0, 0), 1 << 24);
/// The same with the clients inside.
pub(crate) const INSIDE_24: (Ipv4Addr, u32) = (Ipv4Addr::new(198, 51, 100, 0), 1 << 8);
pub(crate) const INSIDE_16: (Ipv4Addr, u32) = (Ipv4Addr::new(198, 51, 0, 0), 1 << 16);
pub(crate) const INSIDE_8: (Ipv4Addr, u32) = (Ipv4Addr::new(198, 0, 0, 0), 1 << 24);

/// What is compared with what: the names of subjects that others are measured by.
pub(crate) const REFERENCE: &str = "reference";
/// As [`REFERENCE`]: of floors, the fastest of as many threads.
pub(crate) const FLOORS: [&str; 2] = ["floor", "floor-n"];

/// A load and those that bear it in turn.
pub(crate) struct Cell {
    pub(crate) name: String,
    pub(crate) load: Load,
    pub(crate) flood: Option<Flood>,
    /// Bubbles a second to absent neighbours of the server meanwhile.
    pub(crate) absent: Option<u32>,
    pub(crate) subjects: Vec<String>,
    /// The metrics that are worth a line.
    pub(crate) shown: &'static [&'static str],
}

/// What the plan depends on.
pub(crate) struct Means {
    pub(crate) reference: Option<PathBuf>,
    /// Ours, and other builds of it, by name.
    pub(crate) ours: Vec<(String, PathBuf)>,
    pub(crate) server_cores: usize,
    pub(crate) client_cores: usize,
    /// For each subject in each cell.
    pub(crate) time: Duration,
}

impl Means {
    /// All subjects, the configuration of ours in three forms: one worker, a worker a core, and as it comes.
    pub(crate) fn subjects(&self) -> Vec<(String, Program)> {
        let floor = |name: &str, words: String| (name.to_owned(), Program::Floor(words));
        let cores = self.server_cores;
        let mut subjects = vec![
            floor("floor-plain", "--calls one".to_owned()),
            floor("floor", String::new()),
            floor("floor-n", format!("--threads {cores}")),
        ];
        let reference = self.reference.iter();
        subjects.extend(reference.map(|path| {
            let program = Program::Server(path.clone(), String::new());
            (REFERENCE.to_owned(), program)
        }));
        for (name, path) in &self.ours {
            let ours = |suffix: &str, directives: String| {
                let program = Program::Server(path.clone(), directives);
                (format!("{name}{suffix}"), program)
            };
            subjects.push(ours("", "Workers 1\nRateLimit 0\n".to_owned()));
            subjects.push(ours("-n", format!("Workers {cores}\nRateLimit 0\n")));
            subjects.push(ours("-default", String::new()));
        }
        subjects
    }

    /// All loads.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let one = self.names(&["floor"], &[""]);
        let many = self.names(&["floor-n"], &["-n"]);
        let paced = self.names(&["floor"], &["", "-default"]);
        let flooded = self.names(&["floor"], &["-default"]);
        let alone = self.names(&[], &[""]);
        let plain = self.names(&["floor-plain", "floor"], &[""]);
        let closed = Pace::Window(8);
        let rate = &["answers/s", "cpu us/packet"];
        let cost = &["cpu us/packet", "p50 us", "p99 us", "lost %"];
        let loss = &["answered %", "flood/s", "received/s", "resident MiB"];
        let cell = |name: &str, kind, pace, flood, subjects: &[String], shown| Cell {
            name: name.to_owned(),
            load: self.load(kind, pace),
            flood,
            absent: None,
            subjects: subjects.to_vec(),
            shown,
        };
        let flood = |name: &str, kind, from| {
            let (load, flood) = (Pace::Rate(1000), Some(self.flood(kind, from)));
            cell(name, Kind::Solicitation, load, flood, &flooded, loss)
        };
        let absent = |name: &str, kind| Cell {
            absent: Some(5000),
            ..cell(name, kind, Pace::Rate(1000), None, &alone, &["answered %"])
        };
        use Kind::{Bubble, Echo, Junk, Mix, Solicitation};
        vec![
            cell(
                "solicitations, one thread",
                Solicitation,
                closed,
                None,
                &plain,
                rate,
            ),
            cell("bubbles, one thread", Bubble, closed, None, &one, rate),
            cell("echoes, one thread", Echo, closed, None, &one, rate),
            cell("mix, one thread", Mix, closed, None, &one, rate),
            cell(
                "solicitations, all threads",
                Solicitation,
                closed,
                None,
                &many,
                rate,
            ),
            cell("bubbles, all threads", Bubble, closed, None, &many, rate),
            cell(
                "50,000 solicitations/s",
                Solicitation,
                Pace::Rate(50_000),
                None,
                &paced,
                cost,
            ),
            cell(
                "1,000 solicitations/s",
                Solicitation,
                Pace::Rate(1000),
                None,
                &paced,
                cost,
            ),
            flood(
                "1,000/s under a flood of solicitations from one source",
                Solicitation,
                FLOOD_ONE,
            ),
            flood(
                "1,000/s under a flood of junk from one source",
                Junk,
                FLOOD_ONE,
            ),
            flood(
                "1,000/s under a flood of solicitations from a /24",
                Solicitation,
                FLOOD_24,
            ),
            flood(
                "1,000/s under a flood of solicitations from a /8",
                Solicitation,
                FLOOD_8,
            ),
            flood(
                "1,000/s inside a /24 that floods solicitations",
                Solicitation,
                INSIDE_24,
            ),
            flood(
                "1,000/s inside a /16 that floods solicitations",
                Solicitation,
                INSIDE_16,
            ),
            flood(
                "1,000/s inside a /8 that floods solicitations",
                Solicitation,
                INSIDE_8,
            ),
            absent(
                "1,000 solicitations/s beside 5,000 bubbles/s to absent neighbours",
                Solicitation,
            ),
            absent(
                "1,000 bubbles/s beside 5,000 bubbles/s to absent neighbours",
                Bubble,
            ),
            absent(
                "1,000 echoes/s beside 5,000 bubbles/s to absent neighbours",
                Echo,
            ),
        ]
    }

    /// These floors, the reference, and each build of ours in these forms.
    fn names(&self, floors: &[&str], forms: &[&str]) -> Vec<String> {
        let floors = floors.iter().copied().map(str::to_owned);
        let reference = self.reference.iter().map(|_| REFERENCE.to_owned());
        let ours = self.ours.iter();
        let ours = ours.flat_map(|(name, _)| forms.iter().map(move |form| format!("{name}{form}")));
        floors.chain(reference).chain(ours).collect()
    }

    fn load(&self, kind: Kind, pace: Pace) -> Load {
        Load {
            target: Target::at(SERVERS),
            kind,
            from: CLIENTS,
            addresses: CLIENT_ADDRESSES,
            threads: match pace {
                Pace::Window(_) => self.client_cores,
                Pace::Rate(_) => 1,
            },
            sockets: match pace {
                // So many questions open in all that no server waits, and no receive buffer overflows.
                Pace::Window(_) => 16_usize.div_ceil(self.client_cores),
                Pace::Rate(_) => 16,
            },
            pace,
            time: self.time,
        }
    }

    fn flood(&self, kind: Kind, (from, addresses): (Ipv4Addr, u32)) -> Flood {
        Flood {
            target: Target::at(SERVERS),
            kind,
            from,
            addresses,
            threads: self.client_cores,
        }
    }
}

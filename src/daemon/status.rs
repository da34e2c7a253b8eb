//! What a running server tells of itself.

use std::fmt;
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::channel::Message;
use super::plan::Plan;
use crate::conf::Address;
use crate::escape::Escaped;
use crate::verdict::Counters;

/// What the server does, and what it has done since it started. As JSON it is what `--status --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program that runs.
    pub version: String,
    /// What it is about.
    pub state: State,
    /// Process ID of the monitor.
    pub pid: u32,
    /// Process ID of the worker, if one serves.
    pub worker_pid: Option<u32>,
    /// When the server started, in seconds since 1970.
    pub start_time_seconds: u64,
    /// How long ago that was.
    pub uptime_seconds: u64,
    /// The primary address.
    pub primary: Address,
    /// The secondary address, unless in one-address mode.
    pub secondary: Option<Address>,
    /// The Teredo service prefix.
    pub prefix: String,
    /// Threads that serve: `Workers`.
    pub workers: usize,
    /// Where a program in the network driver answers and drops. Earlier versions do not tell.
    #[serde(default)]
    pub accelerated: Vec<Accelerated>,
    /// Reloads that succeeded.
    pub reloads: u64,
    /// Reloads that were refused: the server went on with the configuration before.
    pub reloads_refused: u64,
    /// Workers that died. Each was replaced, or is to be.
    pub restarts: u64,
    /// Every counter, also those that are zero.
    pub counters: Vec<Count>,
}

/// An interface whose driver has a program of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accelerated {
    /// Its name.
    pub interface: String,
    /// `native`, or `generic` where the program runs behind the driver.
    pub mode: String,
}

/// What a server is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A worker serves.
    Serving,
    /// It serves, and the configuration is being read again or a new worker starts.
    Reloading,
    /// No worker serves: the first has not started yet, or the last has died.
    NotServing,
    /// This host does not have an address yet.
    Waiting,
}

/// What the server has been through since it started.
#[derive(Clone, Copy, Debug, Default)]
pub struct History {
    /// Reloads that succeeded.
    pub reloads: u64,
    /// Reloads that did not.
    pub reloads_refused: u64,
    /// Workers that died.
    pub restarts: u64,
}

/// When the server started.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    at: Instant,
    /// The same on the clock of the wall.
    time: SystemTime,
}

impl Started {
    /// Now.
    pub fn now() -> Self {
        Self {
            at: Instant::now(),
            time: SystemTime::now(),
        }
    }
}

impl Status {
    /// Of a server without a worker, which has counted nothing yet.
    pub fn new(
        state: State,
        plan: &Plan,
        started: Started,
        history: History,
        now: Instant,
    ) -> Self {
        let since_1970 = started.time.duration_since(SystemTime::UNIX_EPOCH);
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state,
            pid: std::process::id(),
            worker_pid: None,
            start_time_seconds: since_1970.unwrap_or_default().as_secs(),
            uptime_seconds: now.saturating_duration_since(started.at).as_secs(),
            primary: plan.addresses.primary,
            secondary: plan.addresses.secondary,
            prefix: plan.service.policy.prefix.to_string(),
            workers: plan.threads.get(),
            accelerated: Vec::new(),
            reloads: history.reloads,
            reloads_refused: history.reloads_refused,
            restarts: history.restarts,
            counters: Count::all(&Counters::new()),
        }
    }
}

/// One counter. Names are text, so that a program reads what another version of it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// `received`, `sent`, `dropped` or `lost`.
    pub outcome: String,
    /// Its name.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// How often.
    pub count: u64,
}

/// Nothing is said to the server.
#[derive(Debug, Serialize, Deserialize)]
pub enum Nothing {}

impl Message for Status {
    /// Five times what the counters of this version take.
    const MAX_LEN: usize = 1 << 16;
}

impl Message for Nothing {
    const MAX_LEN: usize = 0;
}

impl Count {
    /// All of some counters.
    pub fn all(counters: &Counters) -> Vec<Self> {
        let counters = counters.all().map(|counter| Self {
            outcome: counter.outcome.as_str().to_owned(),
            name: counter.name.to_owned(),
            meaning: counter.meaning.to_owned(),
            count: counter.count,
        });
        counters.collect()
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Serving => "serving",
            Self::Reloading => "serving, and reloading",
            Self::Waiting => "waiting for an address that is not assigned to this host",
            Self::NotServing => "not serving: a worker is to start",
        })
    }
}

impl fmt::Display for Status {
    /// For a person: a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "state      {}", self.state)?;
        writeln!(f, "uptime     {}", Uptime(self.uptime_seconds))?;
        match self.secondary {
            Some(secondary) => writeln!(f, "addresses  {} and {secondary}", self.primary)?,
            None => writeln!(f, "addresses  {} alone", self.primary)?,
        }
        writeln!(f, "prefix     {}", Escaped(&self.prefix))?;
        writeln!(f, "workers    {}", self.workers)?;
        writeln!(f, "driver     {}", Driver(&self.accelerated))?;
        let refused = self.reloads_refused;
        writeln!(f, "reloads    {}, and {refused} refused", self.reloads)?;
        writeln!(f, "restarts   {}", self.restarts)?;
        write!(f, "processes  {}", self.pid)?;
        if let Some(worker) = self.worker_pid {
            write!(f, " and {worker}")?;
        }
        writeln!(f, ", of version {}", Escaped(&self.version))?;
        let most = self.counters.iter().map(|counter| counter.count).max();
        let width = most.unwrap_or_default().to_string().len().max(6);
        let mut outcome = "";
        for counter in &self.counters {
            if counter.outcome != outcome {
                outcome = &counter.outcome;
                writeln!(f, "{}", Escaped(outcome))?;
            }
            let (name, meaning) = (Escaped(&counter.name), Escaped(&counter.meaning));
            writeln!(f, "{:>width$}  {name}: {meaning}", counter.count)?;
        }
        Ok(())
    }
}

/// The interfaces whose drivers have a program.
struct Driver<'a>(&'a [Accelerated]);

impl fmt::Display for Driver<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(accelerated) = self;
        if accelerated.is_empty() {
            return f.write_str("none");
        }
        let mut separator = "";
        for Accelerated { interface, mode } in *accelerated {
            write!(f, "{separator}{} ({})", Escaped(interface), Escaped(mode))?;
            separator = ", ";
        }
        Ok(())
    }
}

/// A time in the units of a clock.
struct Uptime(u64);

impl fmt::Display for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3600;
        const DAY: u64 = 86400;
        let Self(seconds) = self;
        let (days, hours) = (seconds / DAY, seconds % DAY / HOUR);
        let (minutes, seconds) = (seconds % HOUR / MINUTE, seconds % MINUTE);
        match days {
            0 => {}
            1 => f.write_str("1 day ")?,
            days => write!(f, "{days} days ")?,
        }
        write!(f, "{hours}:{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
impl Status {
    /// Of a server with these counters, for tests.
    pub(super) fn example(counters: &Counters) -> Self {
        let address = |bound: [u8; 4], public: [u8; 4]| Address {
            bound: bound.into(),
            public: public.into(),
        };
        Self {
            version: "0.1.0".to_owned(),
            state: State::Serving,
            pid: 1234,
            worker_pid: Some(1236),
            start_time_seconds: 1_700_000_000,
            uptime_seconds: 2 * 86400 + 3 * 3600 + 4 * 60 + 5,
            primary: address([192, 0, 2, 1], [192, 0, 2, 1]),
            secondary: Some(address([10, 0, 0, 2], [192, 0, 2, 2])),
            prefix: "2001::/32".to_owned(),
            workers: 2,
            accelerated: [("eth0", "native"), ("eth1", "generic")]
                .map(|(interface, mode)| Accelerated {
                    interface: interface.to_owned(),
                    mode: mode.to_owned(),
                })
                .into(),
            reloads: 3,
            reloads_refused: 1,
            restarts: 4,
            counters: Count::all(counters),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_all_of_it() {
        let text = Status::example(&Counters::new()).to_string();
        let first = "state      serving\nuptime     2 days 3:04:05\naddresses  192.0.2.1 and 192.0.2.2 (bound to 10.0.0.2)\n\
                     prefix     2001::/32\nworkers    2\ndriver     eth0 (native), eth1 (generic)\nreloads    3, and 1 refused\nrestarts   4\n\
                     processes  1234 and 1236, of version 0.1.0\nreceived\n     0  primary address: came to ServerBindAddress\n";
        assert!(text.starts_with(first), "{text}");
        for counter in Counters::new().all() {
            let line = format!("     0  {}: {}\n", counter.name, counter.meaning);
            assert!(text.contains(&line), "{line}");
        }
        let mut not_serving = Status::example(&Counters::new());
        not_serving.state = State::NotServing;
        not_serving.worker_pid = None;
        not_serving.secondary = None;
        not_serving.accelerated.clear();
        let text = not_serving.to_string();
        assert!(text.starts_with("state      not serving: "), "{text}");
        assert!(text.contains("\naddresses  192.0.2.1 alone\n"), "{text}");
        assert!(text.contains("\ndriver     none\n"), "{text}");
        assert!(text.contains("\nprocesses  1234, of version"), "{text}");
    }

    #[test]
    fn the_largest_has_room_and_is_read_again() {
        let numbers = vec![u64::MAX; Counters::new().numbers().count()];
        let largest = Status::example(&Counters::try_from(numbers).unwrap());
        let line = serde_json::to_string(&largest).unwrap();
        assert!(line.len() < Status::MAX_LEN / 5, "{}", line.len());
        assert_eq!(serde_json::from_str::<Status>(&line).unwrap(), largest);
        // As an earlier version writes it.
        let mut less = serde_json::to_value(&largest).unwrap();
        less.as_object_mut().unwrap().remove("accelerated");
        let less: Status = serde_json::from_value(less).unwrap();
        assert!(less.accelerated.is_empty());
        // As a later version may write it.
        let more = line.replacen('{', "{\"more\":[1],", 1);
        assert_eq!(serde_json::from_str::<Status>(&more).unwrap(), largest);
    }

    #[test]
    fn the_page_names_every_member() {
        let page = std::fs::read_to_string("man/miredo-server.8").unwrap();
        let section = page.split("\n.Sh STATUS\n").nth(1).unwrap();
        let section = section.split("\n.Sh ").next().unwrap();
        let words: Vec<&str> = section.split_whitespace().collect();
        let status = serde_json::to_value(Status::example(&Counters::new())).unwrap();
        let members = status.as_object().unwrap().keys();
        let counter = status["counters"][0].as_object().unwrap();
        let accelerated = status["accelerated"][0].as_object().unwrap();
        for member in members.chain(counter.keys()).chain(accelerated.keys()) {
            assert!(words.contains(&member.as_str()), "{member}");
        }
    }

    #[test]
    fn a_server_cannot_disturb_a_terminal() {
        let mut status = Status::example(&Counters::new());
        status.prefix = "\u{1b}[31m".to_owned();
        assert!(!status.to_string().contains('\u{1b}'));
    }
}

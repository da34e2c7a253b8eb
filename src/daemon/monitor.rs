//! The monitor waits in one place, for all that can happen, and for nobody in particular.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `driver` | which programs are attached to network interfaces |
//! | `metrics` | who serves the metrics, and what that is told |
//! | `reload` | the configuration is read again, and a new worker relieves the old one |
//! | `replace` | workers that start, and those that replace one that died |
//! | `report` | the counters, in a line of the log |
//! | `status` | what whoever asks is told, and the service manager |
//! | `stop` | workers that end, and the end of the server |

use std::os::fd::AsFd;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags};

use super::Fault;
use super::again::Again;
use super::child::Child;
use super::driver::Driver;
use super::identity::Owner;
use super::invocation::Invocation;
use super::messages::{Order, VERSION};
use super::metrics::{Listener, Metrics, Telling};
use super::notify;
use super::plan::Plan;
use super::poll::poll_or_rest;
use super::reader::Reader;
use super::signals::{Request, Signals};
use super::sockets::Sockets;
use super::statistics::Statistics;
use super::status::History;
use super::waiting::Opened;
use crate::verdict::Counters;

mod driver;
mod metrics;
mod reload;
mod replace;
mod report;
mod status;
mod stop;

use metrics::Known;
use status::Told;

/// The privileged process: holds the sockets and keeps one worker serving on them.
#[derive(Debug)]
pub struct Monitor {
    invocation: Invocation,
    plan: Plan,
    sockets: Sockets,
    signals: Signals,
    serving: Option<Child>,
    starting: Option<(Child, Purpose)>,
    /// Workers that were told to stop.
    ending: Vec<Child>,
    /// When a worker that died is to be replaced.
    replacement: Again,
    reading: Option<Reader>,
    /// The new worker of a reload serves, and the old one has not ended yet.
    reloaded: bool,
    /// A reload was asked for while another was under way.
    reload_again: bool,
    /// Until when a report waits for counters.
    report: Option<Instant>,
    /// What workers did that are gone.
    counters: Counters,
    /// What the last report said.
    reported: Counters,
    /// Where whoever asks is told.
    statistics: Option<Statistics>,
    metrics: Metrics,
    telling: Telling<Known>,
    driver: Driver,
    history: History,
    told: Told,
}

/// Why a worker is being started.
#[derive(Debug)]
enum Purpose {
    /// None has served yet.
    First,
    /// The last one died.
    Replacement,
    /// The configuration was read again.
    Reload(Box<Reload>),
}

/// What a reload changes once its worker serves.
#[derive(Debug)]
struct Reload {
    plan: Plan,
    sockets: Sockets,
    /// Another statistics socket, or none; the same as before where this is absent.
    statistics: Option<Option<Statistics>>,
    /// Another socket for metrics, or none; the same as before where this is absent.
    metrics: Option<Option<Listener>>,
}

impl Monitor {
    /// A monitor that has not started anything yet.
    pub fn new(invocation: Invocation, opened: Opened, signals: Signals) -> Self {
        let Opened {
            plan,
            sockets,
            statistics,
            metrics,
            history,
        } = opened;
        Self {
            invocation,
            plan,
            sockets,
            signals,
            serving: None,
            starting: None,
            ending: Vec::new(),
            replacement: Again::default(),
            reading: None,
            reloaded: false,
            reload_again: false,
            report: None,
            counters: Counters::default(),
            reported: Counters::default(),
            statistics,
            metrics: Metrics::new(metrics),
            telling: Telling::default(),
            driver: Driver::default(),
            history,
            told: Told::new(),
        }
    }

    /// Starts a worker, calls `ready` when it serves, and keeps the server going until a signal ends it; returns what all
    /// workers did.
    ///
    /// # Errors
    /// What keeps the first worker from serving; then of `ready` alone.
    pub fn run(
        mut self,
        ready: impl FnOnce(&Plan) -> Result<(), Fault>,
    ) -> Result<Counters, Fault> {
        self.sockets.set_receive_buffers(&self.plan);
        let first = self.start_worker(&self.plan, &self.sockets)?;
        self.starting = Some((first, Purpose::First));
        let mut ready = Some(ready);
        loop {
            match self.signals.take() {
                Some(Request::Stop) => {
                    notify::stopping();
                    return Ok(self.stop());
                }
                Some(Request::Reload) => self.reload(),
                Some(Request::Report) => self.begin_report(),
                None => self.wait(),
            }
            let now = Instant::now();
            if self.tend_starting(now)?
                && let Some(ready) = ready.take()
            {
                ready(&self.plan)?;
                self.accelerate(now);
                self.metrics.begin(now);
                self.told.owe();
            }
            self.tend_serving(now);
            self.tend_ending(now);
            if self.reloaded && self.ending.is_empty() {
                self.old_worker_is_gone();
            }
            self.tend_reading(now);
            self.tend_driver(now);
            if self.replacement.is_due(now) {
                self.replace();
            }
            if self.report.is_some_and(|until| until <= now) {
                self.finish_report();
            }
            self.tend_statistics(now);
            self.tend_metrics(now);
            self.tend_manager(now);
        }
    }

    /// Waits until a signal comes, a process says something, somebody asks, or something is due.
    fn wait(&self) {
        let starting = self.starting.iter().map(|(child, _)| child);
        let children = || starting.clone().chain(&self.serving).chain(&self.ending);
        let (reader, statistics) = (self.reading.as_ref(), self.statistics.as_ref());
        let due = [
            self.replacement.due(),
            self.report,
            reader.and_then(Reader::deadline),
            statistics.and_then(Statistics::deadline),
            self.metrics.deadline(),
            self.telling.due(),
            self.driver.deadline(),
            self.told.due(),
        ];
        let deadlines = due.into_iter().chain(children().map(Child::deadline));
        let awaited = children().filter_map(Child::awaited);
        let awaited = awaited.chain(reader.and_then(Reader::awaited));
        let awaited = awaited.chain(statistics.into_iter().flat_map(Statistics::awaited));
        let awaited = awaited.chain(self.metrics.awaited());
        let awaited = awaited.chain(self.driver.awaited());
        let signals = std::iter::once((self.signals.as_fd(), PollFlags::POLLIN));
        let polled = signals.chain(awaited);
        let polled = polled.map(|(end, flags)| PollFd::new(end, flags));
        poll_or_rest(&mut polled.collect::<Vec<_>>(), deadlines.flatten().min());
    }

    fn start_worker(&self, plan: &Plan, sockets: &Sockets) -> Result<Child, Fault> {
        let order = Order {
            version: VERSION,
            plan: plan.clone(),
            udp: Vec::new(),
            raw: None,
            owner: self.owner_ids(),
            root: self.invocation.options.chroot.clone().map(Into::into),
            log: log::max_level(),
        };
        Child::start(&self.invocation.program, order, sockets)
    }

    /// User and group for what has no privilege; none where this process has none to give up.
    fn owner_ids(&self) -> Option<(u32, u32)> {
        match self.invocation.owner {
            Owner::Become(identity) => Some((identity.uid.as_raw(), identity.gid.as_raw())),
            Owner::Stay => None,
        }
    }
}

//! Programs in the network driver as the monitor sees them: attached by an accelerator, held, counted, given up. Nothing here
//! waits.
//!
//! Whatever fails is a warning: without a program the sockets have every datagram, and lose nothing.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `attached` | one program at one interface |
//! | `loading` | an accelerator at work |

use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use log::warn;
use nix::poll::PollFlags;
use platform::accelerator::{Accelerator, Counts, Place};
use platform::{Here, OsError};

use super::accelerator::task::Task;
use super::program::Program;
use super::status::Accelerated;
use crate::verdict::{Counters, LogLimit, Reason};

mod attached;
mod loading;

use attached::Attached;
use loading::Loading;

/// The time from one look at the counters to the next, when nobody asks: what the service manager and the metrics show is as old
/// at most.
const PAUSE: Duration = Duration::from_secs(5);

/// Topics of the log.
const LIMITED: usize = 0;
const UNREADABLE: usize = 1;

/// All programs of this server.
#[derive(Debug)]
pub struct Driver {
    /// What is asked for.
    task: Option<Task>,
    /// An accelerator is to be started for that, once none is at work.
    due: bool,
    loading: Option<Loading>,
    attached: Vec<Attached>,
    /// What programs did that are gone.
    gone: Counters,
    /// When the counters are to be read again.
    next_read: Option<Instant>,
    /// Datagrams over the limit of their receiver of which the log does not know yet.
    unsaid: u64,
    said: LogLimit<2>,
    system: System,
}

/// What the system is asked for: where the program of a link is, and what a map has counted.
#[derive(Clone, Copy, Debug)]
struct System {
    place: fn(BorrowedFd<'_>) -> Result<Option<Place>, OsError>,
    counts: fn(BorrowedFd<'_>) -> Result<Counts, OsError>,
}

impl Default for Driver {
    fn default() -> Self {
        Self {
            task: None,
            due: false,
            loading: None,
            attached: Vec::new(),
            gone: Counters::new(),
            next_read: None,
            unsaid: 0,
            said: LogLimit::new(),
            system: System {
                place: Here::place,
                counts: Here::counts,
            },
        }
    }
}

impl Driver {
    /// Takes on a task, or none. Where that is in force already, only programs that are not where they should be go, and come
    /// again; else the programs of the last one go first, because an interface holds one program.
    pub fn adapt(&mut self, task: Option<Task>, now: Instant) {
        let is_new = self.task != task || task.is_none();
        if is_new && let Some(loading) = &mut self.loading {
            loading.abandon();
        }
        if is_new || self.loading.is_none() {
            let system = self.system;
            self.detach(now, |attached| is_new || !attached.is_there(system));
            self.due = true;
        }
        self.task = task;
    }

    /// Gives up every program; what they did is counted before this returns.
    pub fn end(&mut self, now: Instant) {
        self.adapt(None, now);
    }

    /// Whether no process is at work any more.
    pub fn is_over(&self) -> bool {
        self.loading.is_none()
    }

    /// Goes on with what is to be done, and reads the counters now and then.
    pub fn tend(&mut self, program: &Program, now: Instant) {
        self.tend_loading(now);
        if self.due && self.loading.is_none() {
            self.due = false;
            let started = self.missing().map(|task| Loading::start(program, task));
            match started.transpose() {
                Ok(loading) => self.loading = loading,
                Err(fault) => refuse(&fault),
            }
        }
        if self.next_read.is_some_and(|next| next <= now) {
            self.read(now);
        }
    }

    /// Reads what the programs have counted.
    pub fn read(&mut self, now: Instant) {
        let before = limited(&self.counters());
        for attached in &mut self.attached {
            if let Err(error) = attached.read(self.system)
                && self.said.admits(UNREADABLE, now)
            {
                warn!("what the driver does is not counted: {error}");
            }
        }
        let more = limited(&self.counters()).saturating_sub(before);
        self.unsaid = self.unsaid.saturating_add(more);
        if self.unsaid > 0 && self.said.admits(LIMITED, now) {
            let datagrams = std::mem::take(&mut self.unsaid);
            let reason = Reason::RateLimited;
            warn!("dropped {datagrams} datagrams in the driver: {reason}");
        }
        let next = now.checked_add(PAUSE);
        self.next_read = next.filter(|_| !self.attached.is_empty());
    }

    /// What all programs did, as far as it was read. No number falls.
    pub fn counters(&self) -> Counters {
        let mut total = self.gone.clone();
        for attached in &self.attached {
            total.add(attached.counters());
        }
        total
    }

    /// How many programs it holds.
    pub fn programs(&self) -> usize {
        self.attached.len()
    }

    /// Where programs are attached.
    pub fn accelerated(&self) -> Vec<Accelerated> {
        let shown = self.attached.iter();
        shown
            .filter_map(|attached| attached.shown(self.system))
            .collect()
    }

    /// The descriptor of an accelerator and what to wait for there.
    pub fn awaited(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.loading.as_ref().and_then(Loading::awaited)
    }

    /// When it has to be looked at, whatever happens.
    pub fn deadline(&self) -> Option<Instant> {
        let loading = self.loading.as_ref().and_then(Loading::deadline);
        loading.into_iter().chain(self.next_read).min()
    }

    /// What of the task is not attached; `None` if nothing.
    fn missing(&self) -> Option<Task> {
        let mut task = self.task.clone()?;
        let is_attached = |name: &str| self.attached.iter().any(|attached| attached.is_at(name));
        task.interfaces
            .retain(|interface| !is_attached(&interface.name));
        (!task.interfaces.is_empty()).then_some(task)
    }

    fn tend_loading(&mut self, now: Instant) {
        let outcome = match &mut self.loading {
            Some(loading) => loading.outcome(self.system, now),
            None => return,
        };
        let Some((outcome, refusals)) = outcome else {
            return;
        };
        self.loading = None;
        for words in refusals {
            refuse(&words);
        }
        self.attached.extend(outcome);
        // The first numbers are no news, but the next look is due from now on.
        self.read(now);
    }

    /// First these programs run no more, then their last numbers are read.
    fn detach(&mut self, now: Instant, goes: impl Fn(&Attached) -> bool) {
        for attached in &mut self.attached {
            if goes(attached) {
                attached.close();
            }
        }
        self.read(now);
        for attached in self
            .attached
            .extract_if(.., |attached| attached.is_closed())
        {
            self.gone.add(attached.counters());
        }
        self.next_read = self.next_read.filter(|_| !self.attached.is_empty());
    }
}

/// Says that a program is not attached.
pub fn refuse(why: &dyn fmt::Display) {
    warn!("Accelerate: {why}; the sockets serve");
}

/// Datagrams over the limit of their receiver.
fn limited(counters: &Counters) -> u64 {
    let mut dropped = counters.dropped();
    let limited = dropped.find(|(reason, _)| *reason == Reason::RateLimited);
    limited.map_or(0, |(_, datagrams)| datagrams)
}

#[cfg(test)]
mod tests;

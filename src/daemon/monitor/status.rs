//! What the monitor tells of the server, to whoever asks at the statistics socket and to the service manager.

use std::time::{Duration, Instant};

use super::{Monitor, Purpose};
use crate::daemon::child::Child;
use crate::daemon::notify;
use crate::daemon::statistics::Statistics;
use crate::daemon::status::{Count, State, Status};
use crate::verdict::Outcome;

/// The time from one line for the service manager to the next.
const PAUSE: Duration = Duration::from_secs(5);

/// What the service manager was told.
#[derive(Debug)]
pub(super) struct Told {
    /// Whether there is one.
    manager: bool,
    totals: [u64; Outcome::ALL.len()],
    at: Option<Instant>,
    /// When it is told again.
    due: Option<Instant>,
    /// Whether it is to be told that the server serves, or serves another plan.
    owed: bool,
}

impl Told {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            manager: notify::has_manager(),
            totals: Default::default(),
            at: None,
            due: None,
            owed: false,
        }
    }

    /// That the server serves, or serves another plan, is to be told.
    pub(super) fn owe(&mut self) {
        (self.owed, self.at) = (true, None);
    }

    /// When there is something to tell.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Nothing more.
    pub(super) fn finish(&mut self) {
        self.due = None;
    }
}

impl Monitor {
    /// Serves the clients of the statistics socket. They are answered when the worker has told what it has counted, or at once
    /// where there is none, or when they have waited long enough.
    pub(super) fn tend_statistics(&mut self, now: Instant) {
        let Some(statistics) = &mut self.statistics else {
            return;
        };
        if statistics.accept(now)
            && let Some(child) = &mut self.serving
        {
            child.ask_counters();
        }
        if self.serving.is_none() || statistics.is_late(now) {
            self.answer_clients(now);
        }
        if let Some(statistics) = &mut self.statistics {
            statistics.tend(now);
        }
    }

    /// Answers whoever waits at the statistics socket.
    pub(super) fn answer_clients(&mut self, now: Instant) {
        let statistics = self.statistics.as_ref();
        if !statistics.is_some_and(Statistics::is_asked) {
            return;
        }
        self.driver.read(now);
        let status = self.status(now);
        if let Some(statistics) = &mut self.statistics {
            statistics.answer(&status, now);
        }
    }

    /// Tells the service manager that the server serves, and what was counted, if that has changed, but not often. What it has
    /// no room for it is told later.
    pub(super) fn tend_manager(&mut self, now: Instant) {
        self.told.due = None;
        if !self.told.manager || self.serving.is_none() {
            return;
        }
        let total = self.total();
        let totals = Outcome::ALL.map(|outcome| total.sum(outcome));
        let owed = self.told.owed;
        if !owed && totals == self.told.totals {
            return;
        }
        let next = self.told.at.and_then(|at| at.checked_add(PAUSE));
        if next.is_some_and(|next| next > now) {
            self.told.due = next;
            return;
        }
        let told = match owed {
            true => notify::serving(&self.plan, &total),
            false => notify::counted(&self.plan, &total),
        };
        self.told.at = Some(now);
        if told {
            (self.told.totals, self.told.owed) = (totals, false);
        } else {
            self.told.due = now.checked_add(PAUSE);
        }
    }

    pub(super) fn status(&self, now: Instant) -> Status {
        let reloads = matches!(self.starting, Some((_, Purpose::Reload(_))));
        let state = match &self.serving {
            None => State::NotServing,
            Some(_) if reloads || self.reading.is_some() => State::Reloading,
            Some(_) => State::Serving,
        };
        Status {
            worker_pid: self.serving.as_ref().map(Child::pid),
            accelerated: self.driver.accelerated(),
            counters: Count::all(&self.total()),
            ..Status::new(
                state,
                &self.plan,
                self.invocation.started,
                self.history,
                now,
            )
        }
    }
}

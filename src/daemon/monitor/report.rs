//! The counters, in a line of the log.

use std::time::{Duration, Instant};

use log::info;

use super::Monitor;
use crate::verdict::Counters;

/// How long a report waits for the worker's counters, before it does with those that were told last.
const REPORT: Duration = Duration::from_millis(500);

impl Monitor {
    /// Asks for counters; the report follows when they come, or without those of a worker that does not tell.
    pub(super) fn begin_report(&mut self) {
        if let Some(child) = &mut self.serving {
            child.ask_counters();
        }
        self.report = Instant::now().checked_add(REPORT);
    }

    /// What all workers did, as far as they have told, and all programs in the driver. It never falls.
    pub(super) fn total(&self) -> Counters {
        let mut total = self.counters.clone();
        total.add(&self.driver.counters());
        let starting = self.starting.iter().map(|(child, _)| child);
        let workers = starting.chain(&self.serving).chain(&self.ending);
        workers.for_each(|child| total.add(child.counters()));
        total
    }

    /// Logs what was counted since the start, and since the last report.
    pub(super) fn finish_report(&mut self) {
        self.report = None;
        self.driver.read(Instant::now());
        let total = self.total();
        let recent = total.since(&self.reported);
        info!(
            "since start: {}; since the last report: {}",
            total.detailed(),
            recent.detailed()
        );
        self.reported = total;
    }
}

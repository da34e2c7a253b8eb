//! Who serves the metrics is kept running, and told.

use std::time::Instant;

use super::Monitor;
use crate::daemon::Fault;
use crate::daemon::exporter::messages::Order;
use crate::daemon::messages::VERSION;
use crate::daemon::metrics::Listener;
use crate::daemon::plan::Plan;
use crate::verdict::Counters;

/// What metrics show that changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    counters: Counters,
    serving: bool,
    programs: usize,
    history: [u64; 3],
}

impl Monitor {
    /// Starts an exporter where one is lacking, and tells it what is new.
    pub(super) fn tend_metrics(&mut self, now: Instant) {
        self.metrics.tend(now);
        if self.metrics.lack_exporter(now) {
            let order = Order {
                version: VERSION,
                listener: -1,
                owner: self.owner_ids(),
                root: self.invocation.options.chroot.clone().map(Into::into),
                log: log::max_level(),
                status: self.status(now),
            };
            self.telling.begin(self.known(), now);
            self.metrics.start(&self.invocation.program, order, now);
        }
        if self.metrics.listen() && self.telling.is_due(self.known(), now) {
            self.metrics.tell(self.status(now));
        }
    }

    fn known(&self) -> Known {
        let history = &self.history;
        Known {
            counters: self.total(),
            serving: self.serving.is_some(),
            programs: self.driver.programs(),
            history: [history.reloads, history.reloads_refused, history.restarts],
        }
    }

    /// The listening socket for another plan, unless it stays as it is.
    pub(super) fn adapt_metrics(&self, plan: &Plan) -> Result<Option<Option<Listener>>, Fault> {
        match Listener::adapt(self.metrics.address(), plan)? {
            Some(Some(listener)) => Ok(Some(Some(listener.listen()?))),
            other => Ok(other),
        }
    }
}

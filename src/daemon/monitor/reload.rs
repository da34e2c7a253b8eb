//! The configuration is read again, and a new worker relieves the old one.

use std::time::Instant;

use log::{error, info};

use super::{Monitor, Purpose, Reload};
use crate::daemon::Fault;
use crate::daemon::invocation::target;
use crate::daemon::plan::Plan;
use crate::daemon::reader::Reader;
use crate::daemon::statistics::Statistics;
use crate::logging::{self, Target};

impl Monitor {
    /// Reads the configuration again. If anything is wrong with it, the old worker goes on.
    pub(super) fn reload(&mut self) {
        if self.reading.is_some()
            || self.reloaded
            || matches!(
                self.starting,
                Some((_, Purpose::Reload(_) | Purpose::First))
            )
        {
            self.reload_again = true;
            return;
        }
        self.reload_again = false;
        match Reader::start(&self.invocation.program, &self.invocation.options) {
            Ok(reader) => self.reading = Some(reader),
            Err(fault) => self.not_reloaded(&fault),
        }
    }

    pub(super) fn tend_reading(&mut self, now: Instant) {
        let Some(reader) = &mut self.reading else {
            return;
        };
        let Some(outcome) = reader.outcome(now, &mut logging::diagnostic) else {
            return;
        };
        self.reading = None;
        if let Err(fault) = outcome.and_then(|plan| self.begin_reload(plan)) {
            self.not_reloaded(&fault);
        }
    }

    /// The new worker is to serve before the old one stops, on the same sockets where the address is the same.
    fn begin_reload(&mut self, plan: Plan) -> Result<(), Fault> {
        let sockets = self.sockets.adapt(&plan)?;
        let statistics =
            Statistics::adapt(self.statistics.as_ref(), &self.invocation.options, &plan)?;
        let metrics = self.adapt_metrics(&plan)?;
        let child = self.start_worker(&plan, &sockets)?;
        // A replacement that does not serve yet comes too late.
        if let Some((mut late, _)) = self.starting.take() {
            late.kill();
            self.ending.push(late);
        }
        let reload = Reload {
            plan,
            sockets,
            statistics,
            metrics,
        };
        self.starting = Some((child, Purpose::Reload(Box::new(reload))));
        Ok(())
    }

    pub(super) fn reloaded(&mut self, reload: Reload) {
        let Reload {
            plan,
            sockets,
            statistics,
            metrics,
        } = reload;
        sockets.set_receive_buffers(&plan);
        if let Target::Syslog(facility) = target(&self.invocation.options, &plan) {
            logging::init(Target::Syslog(facility));
        }
        self.sockets = sockets;
        self.plan = plan;
        if let Some(statistics) = statistics {
            self.statistics = statistics;
        }
        if let Some(metrics) = metrics {
            self.metrics.move_to(metrics, Instant::now());
        }
        self.accelerate(Instant::now());
        self.history.reloads = self.history.reloads.saturating_add(1);
        self.replacement.reset();
        self.reloaded = true;
    }

    /// Says that a reload is done: what the old worker held is free.
    pub(super) fn old_worker_is_gone(&mut self) {
        self.reloaded = false;
        info!("configuration reloaded, serving {}", self.plan);
        self.told.owe();
        self.reload_if_asked();
    }

    pub(super) fn not_reloaded(&mut self, fault: &Fault) {
        self.history.reloads_refused = self.history.reloads_refused.saturating_add(1);
        match self.serving {
            Some(_) => error!("not reloaded, still serving {}: {fault}", self.plan),
            None => error!("not reloaded, and no worker serves: {fault}"),
        }
        self.reload_if_asked();
    }

    pub(super) fn reload_if_asked(&mut self) {
        if self.reload_again {
            self.reload();
        }
    }
}

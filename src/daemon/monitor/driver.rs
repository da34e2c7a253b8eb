//! Programs in the network driver go with the plan that is served.

use std::time::Instant;

use platform::Here;
use platform::accelerator::{Accelerator, UNSUPPORTED};

use super::Monitor;
use crate::daemon::Fault;
use crate::daemon::accelerator::task::Task;
use crate::daemon::driver;

impl Monitor {
    /// Has programs attached for the plan that a worker serves now, and those of another plan given up.
    pub(super) fn accelerate(&mut self, now: Instant) {
        let task = self.task().unwrap_or_else(|why| {
            driver::refuse(&why);
            None
        });
        self.driver.adapt(task, now);
    }

    /// What the plan asks for; a trial asks for nothing.
    fn task(&self) -> Result<Option<Task>, Fault> {
        if !self.plan.accelerates() {
            return Ok(None);
        }
        if !Here::BUILT_IN {
            return Err(Fault::new(UNSUPPORTED));
        }
        Task::of(&self.plan, &platform::host_addresses()?)
    }

    pub(super) fn tend_driver(&mut self, now: Instant) {
        self.driver.tend(&self.invocation.program, now);
    }
}

//! Workers that end, and the end of the server.

use std::time::{Duration, Instant};

use log::warn;

use super::Monitor;
use crate::daemon::child::News;
use crate::verdict::Counters;

/// How long a worker may take to stop when the server stops. It takes milliseconds unless it hangs, and whoever sent the signal
/// is waiting.
const STOP: Duration = Duration::from_millis(800);

impl Monitor {
    pub(super) fn tend_ending(&mut self, now: Instant) {
        let counters = &mut self.counters;
        self.ending.retain_mut(|child| {
            while let Some(news) = child.news(now) {
                if let News::Ended(_) = news {
                    counters.add(child.counters());
                    if child.has_kept_something() {
                        warn!(
                            "a worker did not end in time, and what it did in its last second may not be counted"
                        );
                    }
                    return false;
                }
            }
            true
        });
    }

    pub(super) fn stop(mut self) -> Counters {
        self.driver.end(Instant::now());
        if let Some(reader) = &mut self.reading {
            reader.kill();
        }
        if let Some((mut child, _)) = self.starting.take() {
            child.kill();
            self.ending.push(child);
        }
        self.ending.extend(self.serving.take());
        self.ending.iter_mut().for_each(|child| child.stop(STOP));
        self.replacement.cancel();
        self.report = None;
        self.statistics = None;
        self.metrics.end();
        self.told.finish();
        loop {
            let now = Instant::now();
            self.tend_ending(now);
            self.metrics.tend(now);
            if self
                .reading
                .as_mut()
                .is_some_and(|reader| reader.outcome(now, &mut |_| ()).is_some())
            {
                self.reading = None;
            }
            self.tend_driver(now);
            let processes_are_over = self.ending.is_empty()
                && self.reading.is_none()
                && self.metrics.are_over()
                && self.driver.is_over();
            if processes_are_over {
                return self.total();
            }
            self.wait();
            // Only to empty the descriptor: it says nothing new.
            while self.signals.take().is_some() {}
        }
    }
}

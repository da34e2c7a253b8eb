//! When a process that died is started again: at once, and one that dies again and again after delays that grow.

use std::time::{Duration, Instant};

/// A process that lives this long has started well: if it dies, the next one starts at once.
const SETTLED: Duration = Duration::from_secs(60);

/// Bounds of the delay. The first new process starts at once.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(60);

/// The next start, and the delay before the one after it.
#[derive(Debug, Default)]
pub struct Again {
    due: Option<Instant>,
    delay: Duration,
}

impl Again {
    /// When the next process is to start, if one is.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether that is now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// No process is to start. The delay stays.
    pub fn cancel(&mut self) {
        self.due = None;
    }

    /// Forgets what died before.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The first process is to start.
    pub fn begin(&mut self, now: Instant) {
        (self.due, self.delay) = (Some(now), Duration::ZERO);
    }

    /// A process died that lived this long.
    pub fn died(&mut self, age: Duration) {
        if age >= SETTLED {
            self.delay = Duration::ZERO;
        }
    }

    /// Sets the time of the next start, and doubles the delay of the one after it.
    pub fn schedule(&mut self, now: Instant) {
        self.due = now.checked_add(self.delay);
        self.delay = self.delay.saturating_mul(2).clamp(FIRST_DELAY, LAST_DELAY);
    }

    /// What [`Again::schedule`] comes to, in words for the log.
    pub fn when(&self) -> String {
        match self.delay.as_secs() {
            0 => "starting a new one now".to_owned(),
            seconds => format!("starting a new one in {seconds} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_then_later_and_later() {
        let (mut again, now) = (Again::default(), Instant::now());
        assert!(!again.is_due(now));
        let mut delay = || {
            again.died(Duration::ZERO);
            again.schedule(now);
            again.due().unwrap().duration_since(now).as_secs()
        };
        let delays = [delay(), delay(), delay(), delay()];
        assert_eq!(delays, [0, 1, 2, 4]);
        assert_eq!((0..10).map(|_| delay()).last(), Some(60));
        again.died(SETTLED);
        assert_eq!(again.when(), "starting a new one now");
        again.schedule(now);
        assert!(again.is_due(now));
        again.cancel();
        assert!(!again.is_due(now));
    }
}

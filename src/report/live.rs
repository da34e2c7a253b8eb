//! A line of the log for each packet that is sent, so that a trial shows life: at most ten a second, then how many more there were.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{Level, log, log_enabled};

/// Lines in one second.
const LINES: u32 = 10;

const SECOND: Duration = Duration::from_secs(1);

/// Lines of all loops of a worker.
#[derive(Clone, Debug)]
pub struct Live {
    level: Level,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// When the second began.
    since: Option<Instant>,
    lines: u32,
    /// Packets of this second without a line.
    more: u64,
}

impl Live {
    /// Lines of this level, if the log takes them.
    #[must_use]
    pub fn new(level: Level) -> Option<Self> {
        log_enabled!(level).then(|| Self {
            level,
            state: Arc::default(),
        })
    }

    /// When the packets without a line are to be told of, if there are any.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.state().due()
    }

    /// Tells of them if it is time.
    pub fn tell_rest(&self, now: Instant) {
        let more = self.state().rest(now);
        self.more(more);
    }

    /// One packet was sent.
    pub(super) fn sent(&self, what: impl fmt::Display, now: Instant) {
        let (more, admitted) = {
            let mut state = self.state();
            (state.rest(now), state.admits(now))
        };
        self.more(more);
        if admitted {
            log!(self.level, "sent {what}");
        }
    }

    fn more(&self, packets: u64) {
        if packets > 0 {
            log!(self.level, "sent {packets} more packets");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn due(&self) -> Option<Instant> {
        let end = self.since.and_then(|since| since.checked_add(SECOND));
        end.filter(|_| self.more > 0)
    }

    /// Takes how many packets of a second that is over had no line.
    fn rest(&mut self, now: Instant) -> u64 {
        if self
            .since
            .is_some_and(|since| now.saturating_duration_since(since) < SECOND)
        {
            return 0;
        }
        (self.since, self.lines) = (None, 0);
        std::mem::take(&mut self.more)
    }

    fn admits(&mut self, now: Instant) -> bool {
        self.since.get_or_insert(now);
        if self.lines < LINES {
            self.lines = self.lines.saturating_add(1);
            return true;
        }
        self.more = self.more.saturating_add(1);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_a_second_and_a_count() {
        let (mut state, start) = (State::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        for packet in 0..1000 {
            assert_eq!(state.rest(at(packet)), 0);
            assert_eq!(state.admits(at(packet)), packet < 10);
        }
        assert_eq!(state.due(), Some(at(1000)));
        assert_eq!(state.rest(at(999)), 0);
        assert_eq!(state.rest(at(1000)), 990);
        assert_eq!((state.rest(at(1000)), state.due()), (0, None));
        assert!(state.admits(at(5000)), "another second");
        assert_eq!(state.due(), None, "nothing more");
    }
}

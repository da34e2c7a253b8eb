//! Accepting clients of a listening socket without waiting, with a rest after a failure: one that goes on, as without descriptors,
//! must make nobody spin.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use crate::verdict::LogLimit;

/// How long nobody is accepted after accept(2) failed.
const REST: Duration = Duration::from_secs(1);

/// Whether clients are accepted now.
#[derive(Debug, Default)]
pub(super) struct Accepting {
    /// When to accept again, after a failure.
    resume: Option<Instant>,
    faults: LogLimit<1>,
}

impl Accepting {
    /// Ends a rest that is over.
    pub(super) fn tend(&mut self, now: Instant) {
        self.resume = self.resume.filter(|resume| *resume > now);
    }

    /// Whether it rests.
    pub(super) fn rests(&self) -> bool {
        self.resume.is_some()
    }

    /// When it has rested.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.resume
    }

    /// The next client by `accept`, which does not wait, if there is one. A failure goes to `log`, once a minute.
    pub(super) fn next<T>(
        &mut self,
        now: Instant,
        mut accept: impl FnMut() -> io::Result<T>,
        log: impl FnOnce(io::Error),
    ) -> Option<T> {
        loop {
            match accept() {
                Ok(client) => return Some(client),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return None,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => {
                        self.resume = now.checked_add(REST);
                        if self.faults.admits(0, now) {
                            log(error);
                        }
                        return None;
                    }
                },
            }
        }
    }
}

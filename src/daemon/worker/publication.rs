//! When a worker tells what it has counted without being asked: at most once a second, and not while it counts nothing, so that
//! an idle worker sleeps. What a killed worker has told stays counted.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

use crate::daemon::messages::MonitorChannel;
use crate::daemon::poll::poll_until;

/// The time from one publication to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// What threads that count set, and wake the main thread with.
struct Changes {
    /// Something is not published yet. While it is set, nobody is woken again.
    pending: AtomicBool,
    wake: UnixStream,
}

impl Wake for Changes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            // There is room: the one byte before it was read before `pending` was cleared.
            let _ = (&self.wake).write(&[0]);
        }
    }
}

/// The main thread's view of what is to be published.
pub(super) struct Publication {
    changes: Arc<Changes>,
    woken: UnixStream,
    /// When the last one left.
    last: Option<Instant>,
    /// When the next one is to leave.
    due: Option<Instant>,
}

impl Publication {
    /// Nothing to publish yet.
    ///
    /// # Errors
    /// Of socketpair(2).
    pub(super) fn new() -> io::Result<Self> {
        let (woken, wake) = UnixStream::pair()?;
        for end in [&woken, &wake] {
            end.set_nonblocking(true)?;
        }
        let pending = AtomicBool::new(false);
        Ok(Self {
            changes: Arc::new(Changes { pending, wake }),
            woken,
            last: None,
            due: None,
        })
    }

    /// To be woken when there is something new.
    pub(super) fn waker(&self) -> Waker {
        Arc::clone(&self.changes).into()
    }

    /// Whether to publish now. What is counted from now on is for the next time.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        while matches!((&self.woken).read(&mut [0; 16]), Ok(read) if read > 0) {}
        if self.due.is_none() && self.changes.pending.load(Ordering::Acquire) {
            let next = self.last.and_then(|last| last.checked_add(PAUSE));
            self.due = Some(next.unwrap_or(now));
        }
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        self.changes.pending.swap(false, Ordering::AcqRel);
        (self.last, self.due) = (Some(now), None);
        true
    }

    /// The monitor did not take it: once more, later.
    pub(super) fn repeat(&mut self, now: Instant) {
        self.due = now.checked_add(PAUSE);
    }

    /// Waits until the monitor says something, a thread counts something, or it is time to publish, or `due`.
    ///
    /// # Errors
    /// Of poll(2).
    pub(super) fn wait(&self, monitor: &MonitorChannel, due: Option<Instant>) -> io::Result<()> {
        let mut polled = [
            PollFd::new(monitor.as_fd(), monitor.interest()),
            PollFd::new(self.woken.as_fd(), PollFlags::POLLIN),
        ];
        let deadline = [self.due, due].into_iter().flatten().min();
        match poll_until(&mut polled, deadline) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_then_once_a_second_then_never() {
        let mut publication = Publication::new().unwrap();
        let (changed, start) = (publication.waker(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert!(!publication.is_due(at(0)));
        changed.wake_by_ref();
        assert!(publication.is_due(at(0)));
        assert!(!publication.is_due(at(0)));
        for _ in 0..1000 {
            changed.wake_by_ref();
            assert!(!publication.is_due(at(999)));
        }
        assert_eq!(publication.due, Some(at(1000)));
        assert!(publication.is_due(at(1000)));
        assert_eq!(publication.due, None, "nothing to wake for");
        changed.wake_by_ref();
        assert!(!publication.is_due(at(1999)));
        assert!(publication.is_due(at(2500)));
        publication.repeat(at(2500));
        assert!(publication.is_due(at(3500)));
        assert!(!publication.is_due(at(9999)));
    }

    #[test]
    fn whoever_counts_wakes_whoever_waits() {
        let publication = Publication::new().unwrap();
        // Its other end stays open: an end of the stream would wake it, too.
        let (end, _monitor) = UnixStream::pair().unwrap();
        let monitor = MonitorChannel::new(end).unwrap();
        let changed = publication.waker();
        let thread = std::thread::spawn(move || changed.wake());
        publication.wait(&monitor, None).unwrap();
        thread.join().unwrap();
        assert!(publication.changes.pending.load(Ordering::Acquire));
    }
}

//! poll(2) with a point in time.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use log::error;
use nix::errno::Errno;
use nix::poll::{PollFd, PollTimeout, poll};
use platform::OsError;

use crate::verdict::LogLimit;

/// Between two calls, where poll(2) fails. A signal is answered after it.
const REST: Duration = Duration::from_millis(200);

/// Waits until one of the descriptors is ready, or until the deadline; without a deadline, for ever. Returns how many are
/// ready: 0 after the deadline.
///
/// # Errors
/// Of poll(2). `EINTR` is for the caller: some have a signal to look at.
pub(super) fn poll_until(
    descriptors: &mut [PollFd<'_>],
    deadline: Option<Instant>,
) -> nix::Result<usize> {
    let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
        let rest = deadline.saturating_duration_since(Instant::now());
        // Rounded up: a wait that ends too early would be repeated, up to a thousand times in the last millisecond.
        let rest = match rest.is_zero() {
            true => rest,
            false => rest.saturating_add(Duration::from_millis(1)),
        };
        PollTimeout::try_from(rest).unwrap_or(PollTimeout::MAX)
    });
    poll(descriptors, timeout).map(|ready| usize::try_from(ready).unwrap_or(0))
}

/// As [`poll_until`], for a process that goes on where poll(2) fails, for want of memory say: then it returns after a rest, and
/// says so once a minute. It returns early, too, and does not say what is ready: look.
pub(super) fn poll_or_rest(descriptors: &mut [PollFd<'_>], deadline: Option<Instant>) {
    static SAID: Mutex<LogLimit<1>> = Mutex::new(LogLimit::new());
    match poll_until(descriptors, deadline) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => {
            let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
            if said.admits(0, Instant::now()) {
                error!("{} (trying again)", OsError::new("poll", "", errno));
            }
            thread::sleep(REST);
        }
    }
}

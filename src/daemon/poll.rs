//! poll(2) with a point in time.

use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollTimeout, poll};

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

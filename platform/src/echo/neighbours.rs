//! How often a tunnel sends to neighbours, who may be absent.

use std::time::{Duration, Instant};

/// A pace for what goes to neighbours through a tunnel.
///
/// The host forwards it, and charges what waits for an absent neighbour to no socket. The neighbour takes a place in the host's
/// table for three seconds. The table has 1,024 places (`gc_thresh3`, arp(7)), and when it is full, the host reaches no new
/// neighbour. Any router has that trouble (RFC 6583 section 3). A server has it only for the hosts of its own networks, of whose
/// IPv6 addresses clients rarely test the way.
pub(super) struct Pace {
    /// When the next packet is expected.
    expected: Option<Instant>,
    interval: Duration,
    /// How much too early a packet may come.
    tolerance: Duration,
}

impl Pace {
    /// Packets of all threads after a pause, at once.
    const BURST: u32 = 256;
    /// Packets of all threads a second, in the long run.
    const RATE: u32 = 64;

    /// That of each of so many threads. All together take at most 256 + 3 * 64 places.
    pub(super) fn of(threads: usize) -> Self {
        let threads = u32::try_from(threads).unwrap_or(u32::MAX).max(1);
        let interval = Duration::from_secs(1)
            .checked_div(Self::RATE)
            .unwrap_or_default()
            .saturating_mul(threads);
        let burst = Self::BURST.checked_div(threads).unwrap_or(0);
        Self {
            expected: None,
            interval,
            tolerance: interval.saturating_mul(burst.saturating_sub(1)),
        }
    }

    /// Whether a packet may leave now; it is counted then.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        let expected = self.expected.map_or(now, |expected| expected.max(now));
        if expected.saturating_duration_since(now) > self.tolerance {
            return false;
        }
        self.expected = expected.checked_add(self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        for threads in [1, 2, 3, 64] {
            let mut pace = Pace::of(threads);
            let start = Instant::now();
            let mut sent = |second| {
                let now = start + Duration::from_secs(second);
                (0..1000).filter(|_| pace.admits(now)).count() * threads
            };
            assert!((192..=256).contains(&sent(0)), "{threads}");
            let rest = [1, 2, 3].map(&mut sent).iter().sum::<usize>();
            assert!((128..=192).contains(&rest), "{rest} of {threads}");
            assert!((192..=256).contains(&sent(100)), "{threads}");
        }
    }
}

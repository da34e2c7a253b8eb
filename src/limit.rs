//! How much one IPv4 source may ask for.
//!
//! The generic cell rate algorithm in its virtual scheduling form (ITU-T I.371, annex A), which is a leaky bucket that keeps one
//! number a source: the theoretical arrival time of its next packet. Sources share a fixed table through a hash with a key of
//! this process: no memory grows, nobody outside can choose whom to collide with, and two sources that do collide
//! share one allowance.

use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Instant;

/// What one IPv4 source may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// In the long run.
    pub packets_per_second: NonZeroU32,
    /// At once, after a pause.
    pub burst: NonZeroU32,
}

/// Cells in the table, a power of two. With a thousand sources in one moment, a source shares its cell with a chance of 1.5 %.
const CELLS: usize = 1 << 16;

/// Remembers what each source has asked for. Half a megabyte, allocated once.
#[derive(Clone, Debug)]
pub struct Limiter {
    /// Theoretical arrival time of the next packet, in nanoseconds since `epoch`.
    cells: Box<[u64]>,
    key: RandomState,
    /// When the first packet came. Times before it count as it.
    epoch: Option<Instant>,
    /// Nanoseconds between packets at the full rate.
    interval: u64,
    /// How many nanoseconds too early a packet may come.
    tolerance: u64,
}

impl Limiter {
    /// A table in which no source has asked for anything.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        let interval = (1_000_000_000 / NonZeroU64::from(limit.packets_per_second)).max(1);
        Self {
            cells: vec![0; CELLS].into_boxed_slice(),
            key: RandomState::new(),
            epoch: None,
            interval,
            tolerance: interval.saturating_mul(u64::from(limit.burst.get()).saturating_sub(1)),
        }
    }

    /// Says whether one more packet of `source` is within its limit, and counts it if so.
    pub fn admits(&mut self, source: Ipv4Addr, at: Instant) -> bool {
        let epoch = *self.epoch.get_or_insert(at);
        let now = u64::try_from(at.saturating_duration_since(epoch).as_nanos()).unwrap_or(u64::MAX);
        let index = self.key.hash_one(source.to_bits()) as usize & (CELLS - 1);
        let Some(expected) = self.cells.get_mut(index) else {
            return true;
        };
        if now.saturating_add(self.tolerance) < *expected {
            return false;
        }
        *expected = now.max(*expected).saturating_add(self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

    fn limiter(packets_per_second: u32, burst: u32) -> Limiter {
        Limiter::new(RateLimit {
            packets_per_second: NonZeroU32::new(packets_per_second).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
        })
    }

    #[test]
    fn burst_then_rate() {
        let (mut limiter, start) = (limiter(10, 3), Instant::now());
        let admitted =
            |limiter: &mut Limiter, ms| limiter.admits(SOURCE, start + Duration::from_millis(ms));
        assert_eq!(
            [0, 0, 0, 0].map(|ms| admitted(&mut limiter, ms)),
            [true, true, true, false]
        );
        assert_eq!(
            [99, 100, 100, 200].map(|ms| admitted(&mut limiter, ms)),
            [false, true, false, true]
        );
        assert_eq!(
            [9000; 4].map(|ms| admitted(&mut limiter, ms)),
            [true, true, true, false]
        );
    }

    #[test]
    fn what_was_refused_does_not_count() {
        let (mut limiter, start) = (limiter(1, 1), Instant::now());
        assert!(limiter.admits(SOURCE, start));
        for _ in 0..100 {
            assert!(!limiter.admits(SOURCE, start));
        }
        assert!(limiter.admits(SOURCE, start + Duration::from_secs(1)));
    }

    #[test]
    fn time_may_stand_still_or_go_back() {
        let (mut limiter, start) = (limiter(u32::MAX, u32::MAX), Instant::now());
        assert!(limiter.admits(SOURCE, start + Duration::from_secs(5)));
        assert!(limiter.admits(SOURCE, start));
    }

    #[test]
    fn sources_have_their_own_allowance() {
        let (mut limiter, at) = (limiter(1, 1), Instant::now());
        let admitted = (0..100)
            .filter(|host| limiter.admits(Ipv4Addr::new(198, 51, 100, *host), at))
            .count();
        // Two of a hundred sources share a cell in one run of thirteen; nine in no run that anybody will see.
        assert!(admitted > 90, "{admitted}");
    }
}

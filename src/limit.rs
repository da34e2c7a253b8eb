//! How much one IPv4 source, and the networks around it, may ask for.
//!
//! The generic cell rate algorithm in its virtual scheduling form (ITU-T I.371, annex A), which is a leaky bucket that keeps one
//! number a source: the theoretical arrival time of its next packet. The networks that a source belongs to have an allowance too,
//! a few times its own, because who forges sources has as many as he likes, but often in few networks.
//!
//! The prefixes of a length share a fixed table through a hash with a key of this process: no memory grows, nobody outside can
//! choose whom to collide with, and two that do collide share one allowance.

use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::time::Instant;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

/// What one IPv4 source may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// In the long run.
    pub packets_per_second: NonZeroU32,
    /// At once, after a pause.
    pub burst: NonZeroU32,
}

/// The prefix lengths that have an allowance, and how many times that of a single source.
const LEVELS: [(u32, u64); 4] = [(32, 1), (24, 2), (16, 3), (8, 4)];

/// Cells of a level, a power of two. A flood of a million packets a second from sources that fill the table evenly takes 244 a
/// second from each cell, and leaves the rest to whoever shares it.
const CELLS: usize = 1 << 12;

/// Remembers what each source, and each network, has asked for. 128 KiB, allocated once.
#[derive(Clone, Debug)]
pub struct Limiter {
    levels: [Level; LEVELS.len()],
    /// When the first packet came. Times before it count as it.
    epoch: Option<Instant>,
}

/// The prefixes of one length.
#[derive(Clone, Debug)]
struct Level {
    /// Theoretical arrival time of the next packet, in nanoseconds since the epoch.
    cells: Box<[u64]>,
    /// Bits of an address that are not in the prefix.
    shift: u32,
    key: FixedState,
    /// Nanoseconds between packets at the full rate.
    interval: u64,
    /// How many nanoseconds too early a packet may come.
    tolerance: u64,
}

impl Limiter {
    /// Tables in which nobody has asked for anything.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self {
            levels: LEVELS.map(|(length, times)| Level::new(limit, length, times)),
            epoch: None,
        }
    }

    /// Says whether one more packet of `source` is within the limits of it and its networks, and counts it if so.
    pub fn admits(&mut self, source: Ipv4Addr, at: Instant) -> bool {
        let epoch = *self.epoch.get_or_insert(at);
        let now = u64::try_from(at.saturating_duration_since(epoch).as_nanos()).unwrap_or(u64::MAX);
        let admitted = self.levels.iter().all(|level| level.admits(source, now));
        if admitted {
            for level in &mut self.levels {
                level.count(source, now);
            }
        }
        admitted
    }
}

impl Level {
    fn new(limit: RateLimit, length: u32, times: u64) -> Self {
        let rate = u64::from(limit.packets_per_second.get()).saturating_mul(times);
        let burst = u64::from(limit.burst.get()).saturating_mul(times);
        let interval = 1_000_000_000_u64.checked_div(rate).unwrap_or(0).max(1);
        Self {
            cells: vec![0; CELLS].into_boxed_slice(),
            shift: u32::BITS.saturating_sub(length),
            // The standard library's key is good, its hash costs ten times as much.
            key: FixedState::with_seed(RandomState::new().hash_one(length)),
            interval,
            tolerance: interval.saturating_mul(burst.saturating_sub(1)),
        }
    }

    fn admits(&self, source: Ipv4Addr, now: u64) -> bool {
        let expected = self.cells.get(self.index(source)).copied().unwrap_or(0);
        expected <= now.saturating_add(self.tolerance)
    }

    fn count(&mut self, source: Ipv4Addr, now: u64) {
        let index = self.index(source);
        if let Some(expected) = self.cells.get_mut(index) {
            *expected = now.max(*expected).saturating_add(self.interval);
        }
    }

    fn index(&self, source: Ipv4Addr) -> usize {
        let prefix = source.to_bits().checked_shr(self.shift).unwrap_or(0);
        self.key.hash_one(prefix) as usize & (CELLS - 1)
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

    /// How many packets of these sources, one each, are admitted at once.
    fn admitted(limiter: &mut Limiter, sources: impl Iterator<Item = u32>) -> usize {
        let at = Instant::now();
        sources
            .filter(|source| limiter.admits(Ipv4Addr::from_bits(*source), at))
            .count()
    }

    #[test]
    fn sources_have_their_own_allowance() {
        // In a network of size 8 each, so that none is in the other's way.
        let sources = (1..100_u32).map(|network| network << 24);
        let admitted = admitted(&mut limiter(1, 1), sources);
        // Sources that share a cell are few; ten in no run that anybody will see.
        assert!(admitted > 89, "{admitted}");
    }

    #[test]
    fn networks_have_an_allowance_of_their_own() {
        for (spread, allowance) in [(0, 200), (8, 300), (16, 400)] {
            let mut limiter = limiter(1, 100);
            let sources = (0..10_000_u32).map(|number| 11 << 24 | (number & 0xff) << spread);
            assert_eq!(admitted(&mut limiter, sources), allowance, "{spread}");
            // But for a few that share a cell with it, other networks have all of theirs.
            let others = (12..112_u32).map(|network| network << 24);
            assert!(admitted(&mut limiter, others) > 90);
        }
    }

    #[test]
    fn a_refusal_by_one_is_counted_by_none() {
        let mut limiter = limiter(1, 1);
        let source = SOURCE.to_bits();
        assert_eq!(admitted(&mut limiter, [source; 100].into_iter()), 1);
        // The network has one of two left.
        assert_eq!(admitted(&mut limiter, [source ^ 1].into_iter()), 1);
    }
}

//! Fair shares between networks, while more arrives than the worker can answer.
//!
//! To receive a datagram costs little. To answer it costs much. A server that answers in order of arrival has no time left to
//! receive, and the kernel drops datagrams of all networks alike; who sends most gets most. This server refuses packets of
//! networks that are over their share before it sends anything. So it has the time to receive from all.
//!
//! Nothing is refused until so much waits that some would be lost. Nothing is refused after that has ended, or where it would help
//! no other network.
//!
//! The capacity is found out by trial, as in congestion control. While too much waits, the budget is less than what was answered.
//! When the worker catches up, the budget grows: first to what the worker could have answered without its rests, then in steps.
//! If receiving takes all of the time, to refuse more gains nothing. So the budget is never less than a small part of what arrives.

use std::net::Ipv4Addr;

use super::tree::{Interval, Tree};
use super::{Batch, nanoseconds};

/// So many full batches in a row mean that too much waits. They are 2,048 datagrams. Where the system tells how much waits, a
/// longer burst is answered, too.
const ROW: u32 = 32;
/// How often the shares are computed anew, in nanoseconds.
const INTERVAL: u64 = 10_000_000;
/// A worker that had nothing to do for so long has time to spare, in nanoseconds.
const REST: u64 = 100_000_000;
/// After so many intervals in a row in which nothing had to be refused, the scarcity is over.
const CALM: u32 = 50;
/// How long refusals go on after they last helped a network, in nanoseconds. Without them, the worker might not receive the
/// datagrams of that network, and so not know of it.
const HELP: u64 = 10_000_000_000;
/// By how much the budget is less than what was answered, while too much waits.
const STEP: f64 = 1.0 / 8.0;
/// By how much the budget grows in an interval, if the worker catches up but never rests.
const GROWTH: f64 = 1.0 / 16.0;
/// The budget is at least this part of what was received. To answer so much takes a small part of the time.
const LEAST: f64 = 1.0 / 64.0;

#[derive(Clone, Debug)]
pub(super) struct Shares {
    tree: Tree,
    /// Full batches in a row.
    row: u32,
    scarcity: Option<Scarcity>,
}

/// The state while more arrives than the worker can answer.
#[derive(Clone, Copy, Debug)]
struct Scarcity {
    /// Packets a nanosecond that the worker can answer. `None` in the first interval.
    capacity: Option<f64>,
    /// Packets over a share are refused until then.
    help_until: u64,
    /// Intervals in a row in which nothing had to be refused.
    calm: u32,
    seen: Seen,
}

/// What happened in an interval so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    start: u64,
    batches: u32,
    /// Batches after which too much still waited.
    crowded: u32,
    /// Batches that were not full, so that nothing waited after them.
    relieved: u32,
    /// Nanoseconds in which the worker had nothing to do.
    rest: u64,
    datagrams: u64,
    asked: u32,
    admitted: u32,
}

impl Shares {
    pub(super) fn new() -> Self {
        Self {
            tree: Tree::new(),
            row: 0,
            scarcity: None,
        }
    }

    /// Takes note of a batch. Call this before [`Shares::admit`] for any packet of it.
    pub(super) fn arrived(&mut self, batch: Batch, now: u64) {
        self.row = if batch.full {
            self.row.saturating_add(1)
        } else {
            0
        };
        let crowded = self.row >= ROW;
        let Some(scarcity) = &mut self.scarcity else {
            if batch.backlogged.unwrap_or(crowded) {
                self.tree.clear();
                self.scarcity = Some(Scarcity::begin(now));
            }
            return;
        };
        let length = now.saturating_sub(scarcity.seen.start);
        if length >= INTERVAL {
            let interval = Interval { now, length };
            let rest = nanoseconds(batch.rest);
            if rest >= REST || scarcity.is_over(&mut self.tree, interval) {
                self.scarcity = None;
                return;
            }
        }
        let seen = &mut scarcity.seen;
        seen.batches = seen.batches.saturating_add(1);
        // Once somebody is refused, the queue is kept short: that is room for a moment in which the worker does not run.
        let crowded = crowded || batch.backlogged == Some(true);
        seen.crowded = seen.crowded.saturating_add(crowded.into());
        seen.relieved = seen.relieved.saturating_add((!batch.full).into());
        seen.rest = seen.rest.saturating_add(nanoseconds(batch.rest));
        seen.datagrams = seen.datagrams.saturating_add(batch.datagrams as u64);
    }

    /// Says whether a packet that `source` asked for may be sent, and counts it.
    pub(super) fn admit(&mut self, source: Ipv4Addr, now: u64) -> bool {
        let Some(scarcity) = &mut self.scarcity else {
            return true;
        };
        let within = self.tree.admit(source, now);
        let admits = within || !scarcity.refuses();
        let seen = &mut scarcity.seen;
        seen.asked = seen.asked.saturating_add(1);
        seen.admitted = seen.admitted.saturating_add(admits.into());
        admits
    }
}

impl Scarcity {
    fn begin(now: u64) -> Self {
        Self {
            capacity: None,
            help_until: 0,
            calm: 0,
            seen: Seen::from(now),
        }
    }

    /// Whether packets over a share are refused in this interval.
    fn refuses(&self) -> bool {
        self.help_until > self.seen.start
    }

    /// Ends an interval and begins the next. Says whether the scarcity is over.
    fn is_over(&mut self, tree: &mut Tree, interval: Interval) -> bool {
        let capacity = self.next_capacity(interval.length as f64);
        self.capacity = Some(capacity);
        let budget = capacity * interval.length as f64;
        if tree.divide(budget, interval) {
            self.help_until = interval.now.saturating_add(HELP);
        }
        self.calm = match f64::from(self.seen.asked) <= budget {
            true => self.calm.saturating_add(1),
            false => 0,
        };
        self.seen = Seen::from(interval.now);
        self.calm >= CALM
    }

    /// The capacity, in packets a nanosecond, as an interval of `length` nanoseconds shows it.
    fn next_capacity(&self, length: f64) -> f64 {
        let seen = &self.seen;
        let part = |batches: u32| f64::from(batches) / f64::from(seen.batches.max(1));
        let busy = length - (seen.rest as f64).min(length * (1.0 - LEAST));
        // Without its rests, the worker could have answered so much at least.
        let possible = f64::from(seen.admitted) / busy;
        // While nothing is refused, each interval shows the capacity anew.
        let known = self.capacity.filter(|_| self.refuses()).unwrap_or(possible);
        let capacity = if seen.relieved == 0 {
            known.min(possible) * (1.0 - STEP * part(seen.crowded))
        } else if f64::from(seen.asked) > known * length {
            possible.max(known * (1.0 + GROWTH * part(seen.relieved)))
        } else {
            // Nobody asked for more, so it is not known whether the worker could answer more.
            possible.max(known)
        };
        capacity.max(LEAST * seen.datagrams as f64 / length)
    }
}

impl Seen {
    fn from(start: u64) -> Self {
        Self {
            start,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LENGTH: f64 = 1000.0;

    /// Ten batches of 64 datagrams, and 100 packets of 200 admitted.
    const SEEN: Seen = Seen {
        start: 0,
        batches: 10,
        crowded: 0,
        relieved: 0,
        rest: 0,
        datagrams: 640,
        asked: 200,
        admitted: 100,
    };

    fn next(known: Option<f64>, seen: Seen) -> f64 {
        let scarcity = Scarcity {
            capacity: known,
            help_until: 1,
            ..Scarcity::begin(0)
        };
        Scarcity { seen, ..scarcity }.next_capacity(LENGTH) * LENGTH
    }

    fn assert_near(capacity: f64, expected: f64) {
        assert!(
            (capacity - expected).abs() < 1e-9,
            "{capacity}, not {expected}"
        );
    }

    fn batch(datagrams: usize, backlogged: Option<bool>) -> Batch {
        Batch {
            datagrams,
            full: datagrams == 64,
            backlogged,
            rest: Duration::ZERO,
        }
    }

    #[test]
    fn scarcity_begins_when_the_system_says_so() {
        let mut shares = Shares::new();
        for now in 0..1000 {
            shares.arrived(batch(64, Some(false)), now);
            assert!(shares.scarcity.is_none());
        }
        shares.arrived(batch(1, Some(true)), 1000);
        assert!(shares.scarcity.is_some());
    }

    #[test]
    fn where_the_system_says_nothing_it_begins_with_full_batches_in_a_row() {
        let mut shares = Shares::new();
        for datagrams in [[64; 31].as_slice(), &[63], &[64; 31]].concat() {
            shares.arrived(batch(datagrams, None), 0);
            assert!(shares.scarcity.is_none());
        }
        shares.arrived(batch(64, None), 0);
        assert!(shares.scarcity.is_some());
    }

    #[test]
    fn what_the_system_says_is_counted() {
        let mut shares = Shares::new();
        for (datagrams, backlogged) in [
            (64, Some(true)),
            (64, Some(true)),
            (64, Some(false)),
            (64, None),
            (9, None),
        ] {
            shares.arrived(batch(datagrams, backlogged), 0);
        }
        let seen = shares.scarcity.unwrap().seen;
        assert_eq!((seen.batches, seen.crowded, seen.relieved), (4, 1, 1));
        assert_eq!(seen.datagrams, 64 * 3 + 9);
    }

    #[test]
    fn scarcity_ends_after_a_rest_or_when_all_is_answered_for_a_while() {
        let begin = || {
            let mut shares = Shares::new();
            shares.arrived(batch(64, Some(true)), 0);
            shares
        };
        let after = |rest| {
            let mut shares = begin();
            let rest = Duration::from_millis(rest);
            let batch = Batch {
                rest,
                ..batch(64, Some(true))
            };
            shares.arrived(batch, nanoseconds(rest));
            shares.scarcity.is_some()
        };
        assert!(after(99) && !after(100));
        let mut shares = begin();
        for interval in 1..=50 {
            assert!(shares.scarcity.is_some(), "{interval}");
            shares.arrived(batch(1, Some(false)), interval * INTERVAL);
        }
        assert!(shares.scarcity.is_none());
    }

    #[test]
    fn without_a_rest_it_is_what_was_answered_or_less() {
        assert_near(next(None, SEEN), 100.0);
        assert_near(next(Some(0.2), SEEN), 100.0);
        assert_near(next(Some(0.05), SEEN), 50.0);
        let crowded = |crowded| Seen { crowded, ..SEEN };
        assert_near(next(Some(0.2), crowded(10)), 87.5);
        assert_near(next(Some(0.2), crowded(5)), 93.75);
        assert_near(next(None, crowded(10)), 87.5);
    }

    #[test]
    fn it_grows_when_the_worker_catches_up_and_more_is_asked_for() {
        let relieved = |relieved| Seen { relieved, ..SEEN };
        assert_near(next(Some(0.16), relieved(10)), 170.0);
        assert_near(next(Some(0.16), relieved(5)), 165.0);
        // All that was asked for was within it.
        assert_near(next(Some(0.2), relieved(10)), 200.0);
        assert_near(next(Some(0.3), relieved(10)), 300.0);
        // A full batch and a crowded one are of the past by then.
        let both = Seen {
            crowded: 9,
            ..relieved(1)
        };
        assert_near(next(Some(0.16), both), 161.0);
    }

    #[test]
    fn a_rest_shows_how_much_more_could_be_answered() {
        let rested = |rest| Seen {
            rest,
            relieved: 10,
            ..SEEN
        };
        assert_near(next(Some(0.1), rested(500)), 200.0);
        assert_near(next(Some(0.5), rested(500)), 500.0);
        assert_near(next(Some(0.1), rested(1000)), 6400.0);
        assert_near(next(Some(0.1), rested(2000)), 6400.0);
    }

    #[test]
    fn it_is_no_less_than_a_small_part_of_what_arrives() {
        let seen = Seen {
            datagrams: 64_000,
            ..SEEN
        };
        assert_near(next(Some(0.2), seen), 1000.0);
    }

    #[test]
    fn what_was_known_is_forgotten_while_nothing_is_refused() {
        let scarcity = Scarcity {
            capacity: Some(0.05),
            seen: SEEN,
            ..Scarcity::begin(0)
        };
        assert_near(scarcity.next_capacity(LENGTH) * LENGTH, 100.0);
    }
}

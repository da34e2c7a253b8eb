//! The networks that ask, from prefix length 8 down to single addresses.
//!
//! A table counts what the 256 parts of a network ask for. At the end of each interval, the budget is divided among the parts by
//! max-min fairness: each part gets an equal share, and what a part does not need goes to the others. A part over its share gets a
//! table of its own, and divides its share in the same way. So its quiet parts do not suffer for its busy ones.
//!
//! A network is not divided if most of its parts take part in a flood. There the parts that ask for most are no attackers: they
//! hold the busiest clients among those whose addresses are forged. Packets of such a network are refused without a look at their
//! source, as a full link would drop them.
//!
//! There are 32 tables of 4 KiB. When all are in use, networks are divided less finely.

use std::net::Ipv4Addr;

use super::Pace;

mod table;

use table::{Part, Table};

/// As many tables as `Tree::used` has bits.
const TABLES: usize = 32;
/// The table of all networks of length 8.
const ROOT: u8 = 0;
/// Levels of tables: prefixes of length 8, 16, 24 and 32.
const LEVELS: u8 = 4;
/// The budget that is divided is at most this part of what was asked for, so that busy networks have tables before all is scarce.
const TIGHT: f64 = 7.0 / 8.0;
/// How far a network may be ahead of its share: in nanoseconds, or in packets if that is more.
const TOLERANCE: (u64, u64) = (20_000_000, 16);

#[derive(Clone, Debug)]
pub(super) struct Tree {
    tables: Box<[Table]>,
    /// The tables in use, one bit for each.
    used: u32,
    /// The tables that stay in use, as [`Tree::divide`] finds out.
    kept: u32,
    /// All that was asked for is within the budget.
    fits: bool,
    /// For all packets together, if the root is not divided. `None` in the first interval.
    pace: Option<Pace>,
    /// Theoretical arrival time of the next packet under that pace.
    expected: u64,
}

/// The interval that the counts are of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    /// When it ended.
    pub(super) now: u64,
    /// How many nanoseconds it took.
    pub(super) length: u64,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            tables: vec![Table::NEW; TABLES].into_boxed_slice(),
            used: 0,
            kept: 0,
            fits: true,
            pace: None,
            expected: 0,
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        (self.used, self.kept) = (0, 0);
        (self.fits, self.pace) = (true, None);
        let _root = self.take();
    }

    /// Counts a packet that `source` asked for. Says whether the packet is within the share of its network.
    pub(super) fn admit(&mut self, source: Ipv4Addr, now: u64) -> bool {
        let (mut pace, mut place) = (self.pace, None);
        let mut next = Some(ROOT);
        for octet in source.octets() {
            let Some((index, table)) = next.and_then(|index| Some((index, self.table(index)?)))
            else {
                break;
            };
            let Some(part) = table.parts.get_mut(usize::from(octet)) else {
                break;
            };
            part.asked = part.asked.saturating_add(1);
            next = part.table;
            if table.pace.is_none() {
                break;
            }
            (pace, place) = (table.pace, Some((index, octet)));
        }
        let Some(pace) = pace.filter(|_| !self.fits) else {
            return true;
        };
        let expected = match place {
            Some((index, octet)) => match self.part(index, octet) {
                Some(part) => &mut part.expected,
                None => return true,
            },
            None => &mut self.expected,
        };
        let admits = pace.admits(*expected, now);
        if admits {
            *expected = pace.next(*expected, now);
        }
        admits
    }

    /// Divides `budget`, in packets an interval, among the networks by what they asked for in `interval`, and begins to count anew.
    /// Says whether this helps a network.
    pub(super) fn divide(&mut self, budget: f64, interval: Interval) -> bool {
        let root = self.table(ROOT);
        let asked: f64 = root.map_or(0.0, |table| table.asked().sum());
        self.fits = asked <= budget;
        // If all fits, the tables are kept all the same, in case the flood comes back.
        let budget = budget.min(asked * TIGHT);
        let pace = Pace::of(budget, interval);
        self.pace = Some(pace);
        self.expected = settled(self.expected, pace, interval, true);
        self.kept = 0;
        let helps = self.divide_table(ROOT, budget, interval, 1);
        self.used = self.kept;
        helps && !self.fits
    }

    /// Divides `budget` among the parts of a network of which this is the table.
    fn divide_table(&mut self, index: u8, budget: f64, interval: Interval, level: u8) -> bool {
        self.kept |= bit(index);
        let Some(table) = self.table(index) else {
            return false;
        };
        let share = table.fair_share(budget);
        let pace = (share.is_finite() && !table.is_spread()).then(|| Pace::of(share, interval));
        let mut helps = pace.is_some() && table.helps(share, budget);
        table.pace = pace;
        for octet in 0..=u8::MAX {
            let Some(part) = self.part(index, octet) else {
                continue;
            };
            let over = f64::from(part.asked) > share;
            part.asked = 0;
            let inner = part.table.take();
            let Some(pace) = pace else { continue };
            part.expected = settled(part.expected, pace, interval, over);
            if !over || level >= LEVELS {
                continue;
            }
            let inner = match inner {
                Some(inner) => {
                    helps |= self.divide_table(inner, share, interval, level.saturating_add(1));
                    Some(inner)
                }
                None => self.take(),
            };
            if let Some(part) = self.part(index, octet) {
                part.table = inner;
            }
        }
        helps
    }

    /// An empty table, or `None` if all are in use.
    fn take(&mut self) -> Option<u8> {
        let index = u8::try_from(self.used.trailing_ones()).ok()?;
        *self.table(index)? = Table::NEW;
        self.used |= bit(index);
        self.kept |= bit(index);
        Some(index)
    }

    fn table(&mut self, index: u8) -> Option<&mut Table> {
        self.tables.get_mut(usize::from(index))
    }

    fn part(&mut self, index: u8, octet: u8) -> Option<&mut Part> {
        self.table(index)?.parts.get_mut(usize::from(octet))
    }
}

/// The bit of a table in `Tree::used`.
fn bit(index: u8) -> u32 {
    1_u32.checked_shl(index.into()).unwrap_or(0)
}

impl Pace {
    /// The pace of so many packets in an interval of this length.
    fn of(packets: f64, interval: Interval) -> Self {
        let (time, bursts) = TOLERANCE;
        let interval = (interval.length as f64 / packets) as u64;
        Self {
            interval,
            tolerance: time.max(interval.saturating_mul(bursts)),
        }
    }
}

/// A theoretical arrival time under a new pace. It is no later than the new pace could have made it. For a part that is `over` its
/// share, it is late enough that no tolerance is left.
fn settled(expected: u64, pace: Pace, interval: Interval, over: bool) -> u64 {
    let late = interval.now.saturating_add(pace.tolerance);
    let early = if over { late } else { 0 };
    expected.clamp(early, late.saturating_add(pace.interval))
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed"
)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const BUSY: [u8; 4] = [192, 0, 2, 1];
    const QUIET: [u8; 4] = [250, 0, 0, 1];

    fn tree() -> Tree {
        let mut tree = Tree::new();
        tree.clear();
        tree
    }

    /// An interval of 10 ms that ends now.
    fn ended(now: u64) -> Interval {
        Interval {
            now,
            length: 10 * MS,
        }
    }

    fn ask(tree: &mut Tree, source: [u8; 4], times: u32, now: u64) -> u32 {
        (0..times)
            .map(|_| u32::from(tree.admit(source.into(), now)))
            .sum()
    }

    /// What these had in the last of ten intervals, in each of which both asked for 1,000 and 100 could be had.
    fn divided(first: [u8; 4], second: [u8; 4]) -> (u32, u32) {
        let mut tree = tree();
        let (mut now, mut had) = (0, (0, 0));
        for _ in 0..10 {
            had = (0, 0);
            for step in 0..100 {
                had.0 += ask(&mut tree, first, 10, now + step * MS / 10);
                had.1 += ask(&mut tree, second, 10, now + step * MS / 10);
            }
            now += 10 * MS;
            tree.divide(100.0, ended(now));
        }
        had
    }

    #[test]
    fn neighbours_are_told_apart_at_each_length() {
        for other in [
            [193, 0, 2, 1],
            [192, 1, 2, 1],
            [192, 0, 3, 1],
            [192, 0, 2, 2],
        ] {
            let (first, second) = divided(BUSY, other);
            assert!((45..=55).contains(&first), "{other:?}: {first}");
            assert!((45..=55).contains(&second), "{other:?}: {second}");
        }
    }

    #[test]
    fn all_is_admitted_in_the_first_interval_and_while_it_fits() {
        let mut tree = tree();
        assert_eq!(ask(&mut tree, BUSY, 1000, 0), 1000);
        assert!(!tree.divide(1000.0, ended(10 * MS)));
        assert_eq!(ask(&mut tree, BUSY, 1000, 11 * MS), 1000);
        assert!(!tree.divide(100.0, ended(20 * MS)), "nobody else is there");
        // Over the share now: what its pace gives, without a burst.
        assert_eq!(ask(&mut tree, BUSY, 1000, 20 * MS), 1);
        assert_eq!(ask(&mut tree, BUSY, 1000, 30 * MS - 1), 99);
    }

    #[test]
    fn a_quiet_network_may_be_ahead_of_its_share() {
        // 20 ms of 100 packets in 10 ms, and the one that is due; 16 packets where that is more.
        for (budget, ahead) in [(101.0, 201), (3.0, 17)] {
            let mut tree = tree();
            ask(&mut tree, BUSY, 1000, 0);
            ask(&mut tree, QUIET, 1, 0);
            assert!(tree.divide(budget, ended(10 * MS)));
            assert_eq!(ask(&mut tree, QUIET, 1000, 10 * MS), ahead);
        }
    }

    #[test]
    fn tables_are_kept_while_all_fits() {
        let mut tree = tree();
        let mut used = Vec::new();
        for (round, budget) in [100.0, 100.0, 100.0, 1001.0, 2000.0, 100.0]
            .into_iter()
            .enumerate()
        {
            let now = 10 * MS * round as u64;
            ask(&mut tree, BUSY, 1000, now);
            ask(&mut tree, QUIET, 1, now);
            tree.divide(budget, ended(now + 10 * MS));
            used.push(tree.used.count_ones());
        }
        assert_eq!(used, [2, 3, 4, 4, 4, 4]);
    }

    #[test]
    fn a_flood_from_everywhere_is_not_divided() {
        let mut tree = tree();
        for network in 0..=255 {
            ask(&mut tree, [network, 0, 0, 1], 10, 0);
        }
        ask(&mut tree, BUSY, 90, 0);
        assert!(!tree.divide(250.0, ended(10 * MS)));
        // Who asks first has it all.
        assert_eq!(ask(&mut tree, BUSY, 1000, 20 * MS - 1), 250);
        assert_eq!(ask(&mut tree, QUIET, 1000, 20 * MS - 1), 0);
    }

    #[test]
    fn tables_are_given_back_and_when_none_is_left_networks_are_divided_less_finely() {
        let mut tree = tree();
        let mut now = 0;
        for round in 0..8_u8 {
            // 40 networks that ask for too much, others after two intervals: their tables come with the second.
            for network in 0..40 {
                let network = 100 * (round / 2 % 2) + network;
                ask(&mut tree, [network, 0, 0, 1], 1000, now);
            }
            assert_eq!(ask(&mut tree, QUIET, 1, now), 1);
            now += 10 * MS;
            assert!(tree.divide(400.0, ended(now)));
            if round % 2 == 1 {
                assert_eq!(tree.used, u32::MAX);
            }
        }
        for _ in 0..3 {
            assert_eq!(ask(&mut tree, QUIET, 1, now), 1);
            now += 10 * MS;
            assert!(!tree.divide(400.0, ended(now)));
        }
        assert_eq!(tree.used, 1);
    }
}

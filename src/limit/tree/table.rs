//! What the parts of one network ask for, and their share of what it may have.

use crate::limit::Pace;

/// The parts of a network are those whose prefix is 8 bits longer.
const PARTS: usize = 256;
/// More equal parts than this are most of the parts of a network.
const SPREAD: f64 = 128.0;
/// A share helps a part if it is so many times what the part would get otherwise.
const HELP: f64 = 1.5;

#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) parts: [Part; PARTS],
    /// For each part that has no table. `None` if the network is not divided, or not yet.
    pub(super) pace: Option<Pace>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Theoretical arrival time of its next packet.
    pub(super) expected: u64,
    /// Packets in this interval, with those that were refused.
    pub(super) asked: u32,
    /// The table of this part, if it has one.
    pub(super) table: Option<u8>,
}

impl Part {
    const NEW: Self = Self {
        expected: 0,
        asked: 0,
        table: None,
    };
}

impl Table {
    pub(super) const NEW: Self = Self {
        parts: [Part::NEW; PARTS],
        pace: None,
    };

    /// What each part asked for.
    pub(super) fn asked(&self) -> impl Iterator<Item = f64> {
        self.parts.iter().map(|part| f64::from(part.asked))
    }

    /// The max-min fair share: if no part gets more than this, all together get `budget`. Infinite if all parts fit.
    pub(super) fn fair_share(&self, budget: f64) -> f64 {
        let mut share = 0.0;
        loop {
            let (mut left, mut over) = (budget, 0.0);
            for asked in self.asked() {
                if asked <= share {
                    left -= asked;
                } else {
                    over += 1.0;
                }
            }
            // The share grows until no other part fits under it, which takes 256 rounds at most.
            match left / over {
                _ if over == 0.0 => return f64::INFINITY,
                more if more <= share => return share,
                more => share = more,
            }
        }
    }

    /// Whether the network is like one of more than [`SPREAD`] equal parts. The number of equal parts is the inverse of Simpson's
    /// index of concentration, in its form for small samples.
    pub(super) fn is_spread(&self) -> bool {
        let total: f64 = self.asked().sum();
        let pairs: f64 = self.asked().map(|asked| asked * (asked - 1.0)).sum();
        total * total > SPREAD * pairs
    }

    /// Whether a part gets half as much again with this share as it would get if all parts lost alike.
    pub(super) fn helps(&self, share: f64, budget: f64) -> bool {
        let alike = budget / self.asked().sum::<f64>();
        self.asked()
            .filter(|asked| *asked > 0.0)
            .any(|asked| share > asked * alike * HELP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(asked: impl IntoIterator<Item = u32>) -> Table {
        let mut table = Table::NEW;
        for (part, asked) in table.parts.iter_mut().zip(asked) {
            part.asked = asked;
        }
        table
    }

    #[test]
    fn shares_are_max_min_fair() {
        let share = |asked: &[u32], budget| table(asked.iter().copied()).fair_share(budget);
        assert_eq!(share(&[10, 20, 30], 60.0), f64::INFINITY);
        assert_eq!(share(&[10, 20, 30], 59.0), 29.0);
        assert_eq!(share(&[10, 20, 30], 50.0), 20.0);
        assert_eq!(share(&[10, 20, 30], 30.0), 10.0);
        assert_eq!(share(&[10, 20, 30], 15.0), 5.0);
        assert_eq!(share(&[10, 20, 30], 0.0), 0.0);
        assert_eq!(share(&[], 0.0), f64::INFINITY);
        assert_eq!(share(&[1000; 256], 512.0), 2.0);
    }

    #[test]
    fn many_equal_parts_are_spread_and_few_or_unequal_ones_are_not() {
        let spread = |parts, asked| table(vec![asked; parts]).is_spread();
        assert!(spread(256, 100) && spread(129, 1000) && spread(3, 1));
        assert!(!spread(127, 1000) && !spread(1, 2) && !spread(10, 2));
        let with = |most| {
            let mut asked = vec![100; 255];
            asked.push(most);
            table(asked).is_spread()
        };
        // One that asks for what a hundred others do together, and one that asks for what ten do.
        assert!(!with(10_000) && with(1000));
    }

    #[test]
    fn a_share_helps_who_would_get_less_without() {
        let helps = |asked: &[u32], budget| {
            let table = table(asked.iter().copied());
            table.helps(table.fair_share(budget), budget)
        };
        // The share is 190 for 1, and 50 where 25 and 31 would be had alike; but 50 where 34 would be, it is not.
        assert!(helps(&[300, 1], 191.0));
        assert!(helps(&[300, 100], 100.0) && helps(&[220, 100], 100.0));
        assert!(!helps(&[190, 100], 100.0));
        assert!(!helps(&[300], 100.0) && !helps(&[300, 300, 0], 100.0));
    }
}

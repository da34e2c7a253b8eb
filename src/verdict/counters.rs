//! How often what happened, and how often it may be said.

use std::fmt;
use std::time::{Duration, Instant};

use platform::Via;
use platform::accelerator::Counts;
use serde::{Deserialize, Serialize};

use super::{Entry, Kind, Loss, Outcome, Reason, Verdict};

/// How often a datagram was read, each kind was to be sent, each reason dropped, and a packet was lost on its way out.
///
/// As a message, the numbers in this order, for the same program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<u64>", try_from = "Vec<u64>")]
pub struct Counters {
    received: [u64; Entry::ALL.len()],
    sent: [u64; Kind::ALL.len()],
    dropped: [u64; Reason::ALL.len()],
    lost: [u64; Loss::ALL.len()],
}

impl Counters {
    /// All zero.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            received: [0; Entry::ALL.len()],
            sent: [0; Kind::ALL.len()],
            dropped: [0; Reason::ALL.len()],
            lost: [0; Loss::ALL.len()],
        }
    }

    /// Counts one datagram that was read.
    pub fn receive(&mut self, entry: Entry) {
        if let Some(count) = self.received.get_mut(entry as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// Counts one verdict.
    pub fn record(&mut self, verdict: &Verdict) {
        let count = match verdict {
            Verdict::Send(reply) => self.sent.get_mut(reply.kind as usize),
            Verdict::Drop(reason) => self.dropped.get_mut(*reason as usize),
        };
        if let Some(count) = count {
            *count = count.saturating_add(1);
        }
    }

    /// Counts packets that were to be sent and were not.
    pub fn lose(&mut self, loss: Loss, packets: usize) {
        if let Some(count) = self.lost.get_mut(loss as usize) {
            *count = count.saturating_add(packets as u64);
        }
    }

    /// Adds what another worker counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.all_mut().zip(other.numbers()) {
            *count = count.saturating_add(more);
        }
    }

    /// Lets none of these numbers be less than in `later`, which the same worker has told.
    pub fn raise(&mut self, later: &Self) {
        for (count, later) in self.all_mut().zip(later.numbers()) {
            *count = later.max(*count);
        }
    }

    /// What was counted after `earlier`, a former state of these counters.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut recent = self.clone();
        for (count, before) in recent.all_mut().zip(earlier.numbers()) {
            *count = count.saturating_sub(before);
        }
        recent
    }

    /// Everything that is not zero, by kind and reason, in one line.
    #[must_use]
    pub fn detailed(&self) -> Detailed<'_> {
        Detailed(self)
    }

    /// All of it as numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let received = self.received.into_iter().chain(self.sent);
        received.chain(self.dropped).chain(self.lost)
    }

    /// Each counter with its names and its meaning: what status, log and metrics show.
    pub fn all(&self) -> impl Iterator<Item = Counter> {
        let received = Entry::ALL.map(|at| (Outcome::Received, at.as_str(), at.meaning()));
        let sent = Kind::ALL.map(|kind| (Outcome::Sent, kind.as_str(), kind.meaning()));
        let dropped = Reason::ALL.map(|why| (Outcome::Dropped, why.as_str(), why.meaning()));
        let lost = Loss::ALL.map(|loss| (Outcome::Lost, loss.as_str(), loss.meaning()));
        let named = received.into_iter().chain(sent).chain(dropped);
        named
            .chain(lost)
            .zip(self.numbers())
            .map(|((outcome, name, meaning), count)| Counter {
                outcome,
                name,
                meaning,
                count,
            })
    }

    /// Each kind with how often it was sent.
    pub fn sent(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.into_iter().zip(self.sent)
    }

    /// Each reason with how often it dropped a datagram.
    pub fn dropped(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.dropped)
    }

    /// Each way to lose a packet with how often it did.
    pub fn lost(&self) -> impl Iterator<Item = (Loss, u64)> {
        Loss::ALL.into_iter().zip(self.lost)
    }

    /// How many datagrams or packets met a outcome.
    #[must_use]
    pub fn sum(&self, outcome: Outcome) -> u64 {
        let counters = self.all().filter(|counter| counter.outcome == outcome);
        counters.fold(0, |sum, counter| sum.saturating_add(counter.count))
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.received
            .iter_mut()
            .chain(&mut self.sent)
            .chain(&mut self.dropped)
            .chain(&mut self.lost)
    }
}

/// One number of [`Counters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Of what.
    pub outcome: Outcome,
    /// The phrase of its entry, kind, reason or loss.
    pub name: &'static str,
    /// What that means.
    pub meaning: &'static str,
    /// How often.
    pub count: u64,
}

impl From<Counts> for Counters {
    /// What a program in the network driver has done: it sends nothing but advertisements.
    fn from(counts: Counts) -> Self {
        let mut counters = Self::new();
        let set = |count: Option<&mut u64>, number| {
            if let Some(count) = count {
                *count = number;
            }
        };
        for via in [Via::Primary, Via::Secondary] {
            let entry = Entry::from(via);
            set(
                counters.received.get_mut(entry as usize),
                counts.received(via),
            );
        }
        let sent = counters.sent.get_mut(Kind::Advertisement as usize);
        set(sent, counts.advertisements);
        for (drop, number) in counts.dropped() {
            let reason = Reason::from(drop);
            set(counters.dropped.get_mut(reason as usize), number);
        }
        counters
    }
}

impl From<Counters> for Vec<u64> {
    fn from(counters: Counters) -> Self {
        counters.numbers().collect()
    }
}

impl TryFrom<Vec<u64>> for Counters {
    type Error = String;

    /// The counters that gave these numbers.
    fn try_from(numbers: Vec<u64>) -> Result<Self, String> {
        let mut counters = Self::new();
        let expected = counters.numbers().count();
        if numbers.len() != expected {
            return Err(format!("{} counters, not {expected}", numbers.len()));
        }
        for (count, number) in counters.all_mut().zip(numbers) {
            *count = number;
        }
        Ok(counters)
    }
}

impl fmt::Display for Counters {
    /// What was answered or forwarded, dropped and lost, in all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sent, dropped, lost] =
            [Outcome::Sent, Outcome::Dropped, Outcome::Lost].map(|outcome| self.sum(outcome));
        write!(
            f,
            "{sent} datagrams answered or forwarded, {dropped} dropped, {lost} lost"
        )
    }
}

/// Shows each count that is not zero.
#[derive(Clone, Copy, Debug)]
pub struct Detailed<'a>(&'a Counters);

impl fmt::Display for Detailed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(counters) = self;
        let mut separator = "";
        for Counter {
            outcome,
            name,
            count,
            ..
        } in counters.all().filter(|counter| counter.count > 0)
        {
            write!(f, "{separator}{outcome} {count} ({name})")?;
            separator = ", ";
        }
        f.write_str(if separator.is_empty() { "nothing" } else { "" })
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

/// Keeps the log from being a target: one line a minute for each topic, a [`Reason`] or a [`Loss`].
#[derive(Clone, Debug)]
pub struct LogLimit<const TOPICS: usize> {
    last: [Option<Instant>; TOPICS],
}

impl<const TOPICS: usize> LogLimit<TOPICS> {
    /// How long a topic is silent after a line.
    pub const PAUSE: Duration = Duration::from_secs(60);

    /// No line was logged yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            last: [None; TOPICS],
        }
    }

    /// Says whether a line on the topic of this number may be logged now, and takes it as logged if so.
    pub fn admits(&mut self, topic: usize, now: Instant) -> bool {
        let Some(last) = self.last.get_mut(topic) else {
            return false;
        };
        if last.is_some_and(|last| now.saturating_duration_since(last) < Self::PAUSE) {
            return false;
        }
        *last = Some(now);
        true
    }
}

impl<const TOPICS: usize> Default for LogLimit<TOPICS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_counted_apart_and_added() {
        let mut first = Counters::new();
        let mut second = Counters::new();
        for reason in Reason::ALL {
            first.record(&Verdict::Drop(reason));
            second.record(&Verdict::Drop(reason));
        }
        second.record(&Verdict::Drop(Reason::Scope));
        first.add(&second);
        for (reason, count) in first.dropped() {
            assert_eq!(
                count,
                if reason == Reason::Scope { 3 } else { 2 },
                "{reason}"
            );
        }
        assert!(first.sent().all(|(_, count)| count == 0));
    }

    /// Each number of the driver's program has a counter of its own.
    #[test]
    fn what_the_driver_did_is_counted_by_the_same_names() {
        let mut counts = Counts {
            received: [1000, 2000],
            advertisements: 300,
            ..Counts::default()
        };
        for (count, number) in counts.dropped.iter_mut().zip(1..) {
            *count = number;
        }
        let counters = Counters::from(counts);
        assert_eq!(counters.numbers().filter(|number| *number > 0).count(), 13);
        let named = |name| counters.all().find(|counter| counter.name == name).unwrap();
        assert_eq!(named("primary address").count, 1000);
        assert_eq!(named("secondary address").count, 2000);
        assert_eq!(named("router advertisement").count, 300);
        for (drop, number) in counts.dropped() {
            let reason = Reason::from(drop);
            assert_eq!(format!("{reason:?}"), format!("{drop:?}"));
            assert_eq!(named(reason.as_str()).count, number);
        }
    }

    #[test]
    fn numbers_carry_all_of_it() {
        let mut counters = Counters::new();
        counters.lose(Loss::Undeliverable, 7);
        counters.record(&Verdict::Drop(Reason::Scope));
        counters.receive(Entry::Secondary);
        let numbers = Vec::from(counters.clone());
        assert_eq!(Counters::try_from(numbers.clone()), Ok(counters.clone()));
        let few = numbers.iter().copied().skip(1).collect::<Vec<_>>();
        assert!(Counters::try_from(few).is_err());
        let many = numbers.into_iter().chain([0]).collect::<Vec<_>>();
        assert!(Counters::try_from(many).is_err());
        assert_eq!(
            counters.to_string(),
            "0 datagrams answered or forwarded, 1 dropped, 7 lost"
        );
    }

    #[test]
    fn told_again_no_number_falls() {
        let (mut known, mut later) = (Counters::new(), Counters::new());
        known.lose(Loss::Refusal, 3);
        later.lose(Loss::Refusal, 2);
        later.record(&Verdict::Drop(Reason::Scope));
        known.raise(&later);
        assert_eq!(
            known.detailed().to_string(),
            "dropped 1 (destination not of global scope), lost 3 (not sent)"
        );
    }

    #[test]
    fn detail_names_what_happened() {
        let mut counters = Counters::new();
        assert_eq!(counters.detailed().to_string(), "nothing");
        counters.record(&Verdict::Drop(Reason::Scope));
        let before = counters.clone();
        counters.record(&Verdict::Drop(Reason::Scope));
        counters.lose(Loss::Refusal, 3);
        assert_eq!(
            counters.detailed().to_string(),
            "dropped 2 (destination not of global scope), lost 3 (not sent)"
        );
        assert_eq!(
            counters.since(&before).detailed().to_string(),
            "dropped 1 (destination not of global scope), lost 3 (not sent)"
        );
    }

    #[test]
    fn one_line_a_minute_for_each_topic() {
        let (mut limit, start) = (LogLimit::<2>::new(), Instant::now());
        assert!(limit.admits(0, start));
        assert!(limit.admits(1, start));
        assert!(!limit.admits(0, start + Duration::from_millis(59_999)));
        assert!(limit.admits(0, start + Duration::from_secs(60)));
        assert!(!limit.admits(0, start + Duration::from_secs(119)));
        assert!(!limit.admits(2, start), "no such topic");
    }
}

//! What many rounds come to.

use std::time::Duration;

use super::text::milliseconds;
use super::verdict::Report;

/// The rounds of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many there were.
    pub rounds: u64,
    /// In how many of them the server worked.
    pub worked: u64,
    /// The shortest time that it took to answer.
    pub shortest: Option<Duration>,
    /// The longest.
    pub longest: Option<Duration>,
    answers: u32,
    total: Duration,
}

impl Summary {
    /// Adds a round.
    pub fn add(&mut self, report: &Report) {
        self.rounds = self.rounds.saturating_add(1);
        self.worked = self.worked.saturating_add(u64::from(report.works()));
        if let Some(after) = report.after() {
            self.add_answer(after);
        }
    }

    /// Adds the time that an answer took.
    pub fn add_answer(&mut self, after: Duration) {
        self.answers = self.answers.saturating_add(1);
        self.total = self.total.saturating_add(after);
        self.shortest = Some(self.shortest.map_or(after, |shortest| shortest.min(after)));
        self.longest = Some(self.longest.map_or(after, |longest| longest.max(after)));
    }

    /// The mean time of an answer.
    #[must_use]
    pub fn average(&self) -> Option<Duration> {
        self.total.checked_div(self.answers)
    }

    /// In lines, as ping(8) has it.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let mut text = format!(
            "--- {name} ---\n{} rounds, worked in {}",
            self.rounds, self.worked
        );
        text.extend(self.times().map(|times| format!("\n{times}")));
        text
    }

    /// The times in one line, if there were answers.
    #[must_use]
    pub fn times(&self) -> Option<String> {
        let times = [self.shortest?, self.average()?, self.longest?].map(milliseconds);
        Some(format!("answer min/avg/max {}", times.join(" / ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_answers() {
        let mut summary = Summary::default();
        assert_eq!(summary.times(), None);
        for milliseconds in [4, 1, 7] {
            summary.add_answer(Duration::from_millis(milliseconds));
        }
        let times = summary.times().unwrap();
        assert_eq!(times, "answer min/avg/max 1.0 ms / 4.0 ms / 7.0 ms");
    }
}

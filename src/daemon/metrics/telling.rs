//! When the exporter is told what is new.

use std::time::{Duration, Instant};

/// What the exporter was told, so that it is told again when that has changed, at most once a second.
#[derive(Debug)]
pub struct Telling<K> {
    told: Option<K>,
    at: Option<Instant>,
    due: Option<Instant>,
}

impl<K> Default for Telling<K> {
    /// Nothing yet.
    fn default() -> Self {
        let (told, at, due) = (None, None, None);
        Self { told, at, due }
    }
}

impl<K: PartialEq> Telling<K> {
    /// The time from one message to the next.
    const PAUSE: Duration = Duration::from_secs(1);

    /// It has been told this, with its order.
    pub fn begin(&mut self, known: K, now: Instant) {
        (self.told, self.at, self.due) = (Some(known), Some(now), None);
    }

    /// Whether to tell it now that things are so.
    pub fn is_due(&mut self, known: K, now: Instant) -> bool {
        self.due = None;
        if self.told.as_ref() == Some(&known) {
            return false;
        }
        let next = self.at.and_then(|at| at.checked_add(Self::PAUSE));
        if next.is_some_and(|next| next > now) {
            self.due = next;
            return false;
        }
        self.begin(known, now);
        true
    }

    /// When it is to be told, if there is something to tell.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_what_is_new_once_a_second() {
        let (mut telling, start) = (Telling::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        telling.begin(1, at(0));
        assert!(!telling.is_due(1, at(5000)));
        assert!(telling.is_due(2, at(5000)));
        assert!(!telling.is_due(3, at(5999)));
        assert_eq!(telling.due(), Some(at(6000)));
        assert!(telling.is_due(4, at(6000)));
        assert!(!telling.is_due(4, at(7000)));
        assert_eq!(telling.due(), None, "nothing to wake for");
    }
}

//! Workers that start, and those that replace one that died.

use std::time::Instant;

use log::{error, info, warn};

use super::{Monitor, Purpose};
use crate::daemon::Fault;
use crate::daemon::child::{Child, News, RELIEVED};

impl Monitor {
    /// Looks after the worker that is to serve; says whether it is the first and does now.
    pub(super) fn tend_starting(&mut self, now: Instant) -> Result<bool, Fault> {
        let Some((child, _)) = &mut self.starting else {
            return Ok(false);
        };
        let news = loop {
            match child.news(now) {
                Some(News::Counted) => {}
                news => break news,
            }
        };
        let (Some(news), Some((child, purpose))) =
            (&news, news.as_ref().and_then(|_| self.starting.take()))
        else {
            return Ok(false);
        };
        if let News::Ended(_) = news {
            self.counters.add(child.counters());
        }
        match (news, purpose) {
            (News::Ended(words), Purpose::First) => return Err(Fault::new(words)),
            (News::Ended(words), Purpose::Reload(_)) => self.not_reloaded(&Fault::new(words)),
            (News::Ended(words), Purpose::Replacement) => {
                error!("no worker: {words}; {}", self.replacement.when());
                self.replacement.schedule(now);
            }
            (_, purpose) => {
                let first = matches!(purpose, Purpose::First);
                self.relieve(child);
                match purpose {
                    Purpose::First => self.reload_if_asked(),
                    Purpose::Replacement => info!("serving again, {}", self.plan),
                    Purpose::Reload(reload) => self.reloaded(*reload),
                }
                return Ok(first);
            }
        }
        Ok(false)
    }

    /// A new worker serves; the old one, if there is one, stops.
    fn relieve(&mut self, child: Child) {
        self.replacement.cancel();
        if let Some(mut old) = self.serving.replace(child) {
            old.stop(RELIEVED);
            self.ending.push(old);
        }
    }

    pub(super) fn tend_serving(&mut self, now: Instant) {
        while let Some(news) = self.serving.as_mut().and_then(|child| child.news(now)) {
            match news {
                News::Counted => {
                    if self.report.is_some() {
                        self.finish_report();
                    }
                    self.answer_clients(now);
                }
                News::Ended(words) => self.worker_died(&words, now),
                _ => {}
            }
        }
    }

    fn worker_died(&mut self, words: &str, now: Instant) {
        let Some(dead) = self.serving.take() else {
            return;
        };
        self.counters.add(dead.counters());
        self.history.restarts = self.history.restarts.saturating_add(1);
        self.replacement.died(dead.age());
        warn!(
            "the worker died ({words}), and what it did in its last second may not be counted; {}",
            self.replacement.when()
        );
        // A reload that is under way replaces it.
        if self.starting.is_none() {
            self.replacement.schedule(now);
        }
    }

    pub(super) fn replace(&mut self) {
        self.replacement.cancel();
        if self.starting.is_some() {
            return;
        }
        match self.start_worker(&self.plan, &self.sockets) {
            Ok(child) => self.starting = Some((child, Purpose::Replacement)),
            Err(fault) => {
                error!("no worker: {fault}; {}", self.replacement.when());
                self.replacement.schedule(Instant::now());
            }
        }
    }
}

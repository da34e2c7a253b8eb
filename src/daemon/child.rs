//! A worker as the monitor sees it: started, ready, stopped. Nothing here waits.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use super::Fault;
use super::messages::{FromWorker, Order, PairNumbers, TIMEOUT, ToWorker};
use super::peer::Peer;
use super::program::{Kept, Program};
use super::sockets::Sockets;
use crate::cli::worker::Arguments;
use crate::verdict::Counters;

/// How long a worker may take to stop when its successor serves already.
pub const RELIEVED: Duration = TIMEOUT;

/// A worker, and what it has counted.
#[derive(Debug)]
pub struct Child {
    peer: Peer<FromWorker, ToWorker>,
    counters: Counters,
    /// How often it was asked for them and has not answered.
    asked: u32,
}

/// What there is to know of a worker.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// It serves.
    Ready,
    /// It has told what it counted, as often as it was asked: [`Child::counters`].
    Counted,
    /// It is gone, for this reason.
    Ended(String),
}

impl Child {
    /// Starts a worker on the sockets, whose numbers it writes into the order.
    ///
    /// # Errors
    /// Of the system, which has no process or descriptors for it.
    pub fn start(program: &Program, mut order: Order, sockets: &Sockets) -> Result<Self, Fault> {
        let complete = |kept: &mut Kept| {
            for (primary, secondary) in sockets.pairs() {
                let primary = kept.keep(primary)?;
                let secondary = secondary.map(|socket| kept.keep(socket)).transpose()?;
                order.udp.push(PairNumbers { primary, secondary });
            }
            order.raw = sockets.raw.as_ref().map(|raw| kept.keep(raw)).transpose()?;
            Ok(ToWorker::Order(Box::new(order)))
        };
        Ok(Self {
            peer: Peer::start(program, "worker", Arguments::to_worker, complete)?,
            counters: Counters::default(),
            asked: 0,
        })
    }

    /// How long it has lived.
    pub fn age(&self) -> Duration {
        self.peer.age()
    }

    /// What it has counted, as far as it has told.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether it has served and ended before it told all that it had counted.
    pub fn has_kept_something(&self) -> bool {
        self.peer.serves() && !self.peer.succeeded()
    }

    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.peer.pid()
    }

    /// Asks it to tell what it has counted.
    pub fn ask_counters(&mut self) {
        self.peer.tell(&ToWorker::Count);
        self.asked = self.asked.saturating_add(1);
    }

    /// Tells it to stop. After `timeout` it is killed.
    pub fn stop(&mut self, timeout: Duration) {
        self.peer.stop(timeout);
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.peer.kill();
    }

    /// As [`Peer::awaited`].
    pub fn awaited(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.peer.awaited()
    }

    /// As [`Peer::deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        self.peer.deadline()
    }

    /// What is new; to be called until it says that nothing is.
    pub fn news(&mut self, now: Instant) -> Option<News> {
        while let Some(message) = self.peer.hear() {
            match message {
                FromWorker::Logged(line) => self.peer.logged(&line, now),
                FromWorker::Counted(counters) => {
                    self.counters.raise(&counters);
                    self.asked = self.asked.saturating_sub(1);
                    if self.asked == 0 {
                        return Some(News::Counted);
                    }
                }
                FromWorker::Published(counters) => self.counters.raise(&counters),
                FromWorker::Ready if !self.peer.serves() => {
                    self.peer.is_ready();
                    return Some(News::Ready);
                }
                FromWorker::Ready => self.peer.end_because("said twice that it serves"),
                FromWorker::Failed(words) => self.peer.failed(&words),
            }
        }
        let (words, status) = self.peer.ended(now, "did not report that it serves")?;
        Some(News::Ended(match (words, self.peer.serves()) {
            (Some(words), _) => words,
            (None, true) => status,
            (None, false) => format!("the worker ended before it served: {status}"),
        }))
    }
}

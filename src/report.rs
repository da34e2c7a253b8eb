//! What a serving loop counts, and the little that it tells the log.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `live` | a line for each packet, for a trial |

use std::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use log::{Level, error, log, log_enabled, warn};
use platform::{Inbox, OsError, Progress, Received, SendReport, Via};

use crate::verdict::{Counters, LogLimit, Loss, Reason, Route, Verdict};

mod live;

pub use live::Live;

/// Batches after which a loop that is never idle brings its ledger up to date.
const PUBLISH_AFTER: u32 = 256;

/// What a loop has done so far, for others to read.
///
/// A loop brings it up to date whenever it has nothing to do, and now and then when it has: the lock costs the path nothing
/// that a batch of datagrams would notice.
#[derive(Clone)]
pub struct Ledger {
    counters: Arc<Mutex<Counters>>,
    changed: Waker,
}

impl Ledger {
    /// An empty one, which wakes `changed` whenever it has something new.
    pub fn new(changed: Waker) -> Self {
        Self {
            counters: Arc::default(),
            changed,
        }
    }

    /// What was done.
    pub fn read(&self) -> Counters {
        self.lock().clone()
    }

    fn bring_up_to_date(&self, counters: &Counters) {
        let mut known = self.lock();
        if *known == *counters {
            return;
        }
        known.clone_from(counters);
        drop(known);
        self.changed.wake_by_ref();
    }

    // Whoever panicked with it did not write half a number.
    fn lock(&self) -> MutexGuard<'_, Counters> {
        let counters = self.counters.lock();
        counters.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Ledger {
    /// An empty one that wakes nobody.
    fn default() -> Self {
        Self::new(Waker::noop().clone())
    }
}

/// Counts, and tells the log no more than it should hear.
pub struct Report {
    counters: Counters,
    ledger: Ledger,
    /// Batches since the ledger was brought up to date.
    unpublished: u32,
    drops: LogLimit<{ Reason::ALL.len() }>,
    /// One topic for each loss, and one for sockets that fail.
    faults: LogLimit<{ Loss::ALL.len() + 1 }>,
    live: Option<Live>,
}

impl Report {
    /// For one loop, which keeps `ledger` and tells `live` of each packet that it sends.
    pub fn new(ledger: Ledger, live: Option<Live>) -> Self {
        Self {
            counters: Counters::new(),
            ledger,
            unpublished: 0,
            drops: LogLimit::new(),
            faults: LogLimit::new(),
            live,
        }
    }

    /// Brings the ledger up to date.
    pub(crate) fn publish(&mut self) {
        self.unpublished = 0;
        self.ledger.bring_up_to_date(&self.counters);
    }

    /// A batch was handled.
    pub(crate) fn batch(&mut self) {
        self.unpublished = self.unpublished.saturating_add(1);
        if self.unpublished >= PUBLISH_AFTER {
            self.publish();
        }
    }

    pub(crate) fn verdict(&mut self, verdict: &Verdict, received: &Received<'_>, now: Instant) {
        self.counters.receive(received.via.into());
        let reason = match verdict {
            Verdict::Drop(reason) => reason,
            // It is sent or lost by itself: see `native`.
            Verdict::Send(reply) if matches!(reply.route, Route::Native { .. }) => return,
            Verdict::Send(reply) => {
                self.counters.record(verdict);
                if let (Some(live), Route::Udp { to, .. }) = (&self.live, reply.route) {
                    live.sent(format_args!("{} to {to}", reply.kind), now);
                }
                return;
            }
        };
        self.counters.record(verdict);
        // These packets obey every rule, so they are losses.
        let is_loss = matches!(reason, Reason::RateLimited | Reason::Crowded);
        let level = if is_loss { Level::Warn } else { Level::Debug };
        if log_enabled!(level) && self.drops.admits(*reason as usize, now) {
            log!(level, "dropped a datagram of {}: {reason}", received.from);
        }
    }

    /// What the kernel dropped before it could be received.
    pub(crate) fn dropped(&mut self, inbox: &Inbox) {
        for via in [Via::Primary, Via::Secondary] {
            let datagrams = inbox.dropped(via);
            if datagrams > 0 {
                let datagrams = usize::try_from(datagrams).unwrap_or(usize::MAX);
                self.counters.lose(Loss::Overflow, datagrams);
                self.lost(Loss::Overflow, via, Instant::now());
            }
        }
    }

    pub(crate) fn udp(&mut self, sent: SendReport, now: Instant) {
        self.counters.lose(Loss::Congestion, sent.would_block);
        self.counters.lose(Loss::Refusal, sent.failed);
        if let Some(to) = sent.full {
            self.lost(Loss::Congestion, to, now);
        }
        if let Some((to, error)) = sent.error {
            self.lost(Loss::Refusal, OsError::new("send", to, error), now);
        }
    }

    /// What became of the reply of `verdict` on its way to a native host.
    pub(crate) fn native(
        &mut self,
        verdict: &Verdict,
        sent: Option<io::Result<Progress>>,
        to: Ipv6Addr,
        now: Instant,
    ) {
        let loss = match sent {
            Some(Ok(Progress::Moved(_))) => {
                self.counters.record(verdict);
                if let (Some(live), Verdict::Send(reply)) = (&self.live, verdict) {
                    live.sent(format_args!("{}, {to}", reply.kind), now);
                }
                return;
            }
            Some(Ok(Progress::WouldBlock)) => {
                self.lost(Loss::Congestion, to, now);
                Loss::Congestion
            }
            None => Loss::Undeliverable,
            Some(Err(error)) => {
                self.lost(Loss::Refusal, &error, now);
                Loss::Refusal
            }
        };
        self.counters.lose(loss, 1);
    }

    fn lost(&mut self, loss: Loss, what: impl fmt::Display, now: Instant) {
        if self.faults.admits(loss as usize, now) {
            warn!("{loss}: {what} (no more of these for a minute)");
        }
    }

    pub(crate) fn receive_failed(&mut self, error: &io::Error, now: Instant) {
        if self.faults.admits(Loss::ALL.len(), now) {
            error!("{error} (trying again every second)");
        }
    }
}

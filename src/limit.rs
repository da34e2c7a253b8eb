//! How much is sent, of what no rule forbids.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `reflection` | a limit for each receiver, at all times: nobody can use the server to flood others |
//! | `shares` | fair shares between networks, only while more arrives than the worker can answer |
//! | `tree` | the networks that ask, divided as finely as the shares need |
//!
//! Both count packets that would be sent, and nothing else: a packet that a rule drops uses no allowance. A solicitation with a
//! wrong authentication value does: to find that out is what the limits are to bound.
//!
//! Both use the generic cell rate algorithm in its virtual scheduling form (ITU-T I.371, annex A), which is a leaky bucket that
//! keeps one number: the theoretical arrival time of the next packet.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::verdict::{Reason, Route};

mod reflection;
mod shares;
#[cfg(test)]
mod simulation;
mod tree;

use reflection::{Reflection, receiver};
use shares::Shares;

/// What one receiver may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// In the long run.
    pub packets_per_second: NonZeroU32,
    /// At once, after a pause.
    pub burst: NonZeroU32,
}

impl RateLimit {
    /// The same in nanoseconds.
    pub(crate) fn pace(self) -> Pace {
        let rate = u64::from(self.packets_per_second.get());
        let burst = u64::from(self.burst.get());
        let interval = 1_000_000_000_u64.checked_div(rate).unwrap_or(0).max(1);
        Pace {
            interval,
            tolerance: interval.saturating_mul(burst.saturating_sub(1)),
        }
    }
}

/// What a loop received in one call, and what it knows of the datagrams that still wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// How many datagrams.
    pub datagrams: usize,
    /// The batch could hold no more.
    pub full: bool,
    /// So much waits that the system may soon drop some. `None` if the system does not tell.
    pub backlogged: Option<bool>,
    /// How long the loop had nothing to do before this batch.
    pub rest: Duration,
}

/// Both limits of one worker thread. They take 256 KiB, allocated once.
#[derive(Clone, Debug)]
pub struct Limits {
    reflection: Option<Reflection>,
    shares: Shares,
    /// When the first packet came. Times before it count as it.
    epoch: Option<Instant>,
}

impl Limits {
    /// Nothing was sent yet. Without a limit for receivers, fair shares apply all the same.
    #[must_use]
    pub fn new(receivers: Option<RateLimit>) -> Self {
        Self {
            reflection: receivers.map(Reflection::new),
            shares: Shares::new(),
            epoch: None,
        }
    }

    /// Takes note of a batch. Call this before [`Limits::admit`] for any packet of it.
    pub fn arrived(&mut self, batch: Batch, at: Instant) {
        let now = self.now(at);
        self.shares.arrived(batch, now);
    }

    /// Says whether a packet that `source` asked for may leave by `route`, and counts it if so.
    ///
    /// # Errors
    /// The limit that it is over.
    pub fn admit(&mut self, source: Ipv4Addr, route: &Route, at: Instant) -> Result<(), Reason> {
        let now = self.now(at);
        let receiver = receiver(route);
        let account = match &self.reflection {
            Some(reflection) => Some(
                reflection
                    .account(receiver, now)
                    .ok_or(Reason::RateLimited)?,
            ),
            None => None,
        };
        if !self.shares.admit(source, now) {
            return Err(Reason::Crowded);
        }
        if let (Some(reflection), Some(account)) = (&mut self.reflection, account) {
            reflection.charge(account, receiver, now);
        }
        Ok(())
    }

    /// Nanoseconds since the epoch.
    fn now(&mut self, at: Instant) -> u64 {
        let epoch = *self.epoch.get_or_insert(at);
        nanoseconds(at.saturating_duration_since(epoch))
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// At which rate, and with which bursts, packets may leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Nanoseconds between packets at the full rate.
    pub(crate) interval: u64,
    /// How many nanoseconds too early a packet may come.
    pub(crate) tolerance: u64,
}

impl Pace {
    /// Whether a packet may leave now that was expected at this time.
    fn admits(self, expected: u64, now: u64) -> bool {
        expected <= now.saturating_add(self.tolerance)
    }

    /// When the next is expected, once one has left.
    fn next(self, expected: u64, now: u64) -> u64 {
        expected.max(now).saturating_add(self.interval)
    }
}

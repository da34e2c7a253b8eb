//! How much is sent, of what no rule forbids.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `reflection` | no address gets more than its limit, so that the server is nobody's weapon; always |
//!
//! What counts are packets that are to leave, and nothing else: what a rule drops spends nobody's allowance.
//!
//! It is counted by the generic cell rate algorithm in its virtual scheduling form (ITU-T I.371, annex A), which is a leaky bucket that
//! keeps one number: the theoretical arrival time of the next packet.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::verdict::{Reason, Route};

mod reflection;

use reflection::{Reflection, receiver};

/// What one receiver may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// In the long run.
    pub packets_per_second: NonZeroU32,
    /// At once, after a pause.
    pub burst: NonZeroU32,
}

/// The limits of one worker: 128 KiB, allocated once.
#[derive(Clone, Debug)]
pub struct Limits {
    reflection: Option<Reflection>,
    /// When the first packet came. Times before it count as it.
    epoch: Option<Instant>,
}

impl Limits {
    /// Nobody has been sent anything yet.
    #[must_use]
    pub fn new(receivers: Option<RateLimit>) -> Self {
        Self {
            reflection: receivers.map(Reflection::new),
            epoch: None,
        }
    }

    /// Says whether a packet may leave by `route`, and counts it if so.
    ///
    /// # Errors
    /// The limit that it is over.
    pub fn admit(&mut self, route: &Route, at: Instant) -> Result<(), Reason> {
        let now = self.now(at);
        if let Some(reflection) = &mut self.reflection {
            let receiver = receiver(route);
            let account = reflection.account(receiver, now);
            let account = account.ok_or(Reason::RateLimited)?;
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
struct Pace {
    /// Nanoseconds between packets at the full rate.
    interval: u64,
    /// How many nanoseconds too early a packet may come.
    tolerance: u64,
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

//! An accelerator at work, as the monitor sees it.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::poll::PollFlags;
use platform::OsError;
use platform::accelerator::Attachment;

use super::System;
use super::attached::Attached;
use crate::daemon::Fault;
use crate::daemon::accelerator;
use crate::daemon::accelerator::messages::{FromAccelerator, Order, Outcome, ToAccelerator};
use crate::daemon::accelerator::task::Task;
use crate::daemon::messages::{TIMEOUT, VERSION};
use crate::daemon::peer::Peer;
use crate::daemon::program::{Kept, Program};
use crate::escape::Escaped;

/// An accelerator.
pub(super) struct Loading {
    peer: Peer<FromAccelerator, ToAccelerator>,
    /// Where it passes descriptors.
    descriptors: UnixStream,
    /// How many interfaces its order has.
    interfaces: usize,
    outcomes: Option<Vec<Outcome>>,
    /// Nobody wants any more what it does.
    abandoned: bool,
}

impl Loading {
    /// Starts one.
    ///
    /// # Errors
    /// Those of [`Peer::start`], and of socketpair(2).
    pub(super) fn start(program: &Program, task: Task) -> Result<Self, Fault> {
        let (descriptors, theirs) =
            UnixStream::pair().map_err(|error| OsError::new("socketpair", "", error))?;
        let interfaces = task.interfaces.len();
        let order = |kept: &mut Kept| {
            Ok(ToAccelerator::Order(Box::new(Order {
                version: VERSION,
                descriptors: kept.keep(&theirs)?,
                task,
            })))
        };
        let mut peer = Peer::start(program, "accelerator", accelerator::arguments, order)?;
        // Some drivers stop and start the interface.
        peer.give(TIMEOUT.saturating_mul(u32::try_from(interfaces).unwrap_or(u32::MAX)));
        Ok(Self {
            peer,
            descriptors,
            interfaces,
            outcomes: None,
            abandoned: false,
        })
    }

    /// Ends it; whatever it has attached goes with it.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
        self.peer.kill();
    }

    /// As [`Peer::awaited`].
    pub(super) fn awaited(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.peer.awaited()
    }

    /// As [`Peer::deadline`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.peer.deadline()
    }

    /// The programs that it has attached, and why others are not; once it has ended, so that nobody else holds a link.
    pub(super) fn outcome(
        &mut self,
        system: System,
        now: Instant,
    ) -> Option<(Vec<Attached>, Vec<String>)> {
        while let Some(message) = self.peer.hear() {
            match message {
                FromAccelerator::Done(outcomes) => self.outcomes = Some(outcomes),
                FromAccelerator::Failed(words) => self.peer.failed(&words),
            }
        }
        let (words, status) = self.peer.ended(now, "has not attached the programs")?;
        let (mut attached, mut refusals) = (Vec::new(), Vec::new());
        match (self.outcomes.take(), words) {
            _ if self.abandoned => {}
            (Some(outcomes), None) => {
                if let Err(why) = self.take(outcomes, system, &mut attached, &mut refusals) {
                    refusals.push(why);
                }
            }
            (_, Some(words)) => refusals.push(words),
            (None, None) => refusals.push(format!("the accelerator ended: {status}")),
        }
        Some((attached, refusals))
    }

    /// Takes what it has passed on.
    fn take(
        &self,
        outcomes: Vec<Outcome>,
        system: System,
        attached: &mut Vec<Attached>,
        refusals: &mut Vec<String>,
    ) -> Result<(), String> {
        if outcomes.len() != self.interfaces {
            return Err("the accelerator told of other interfaces than it was to".to_owned());
        }
        for outcome in outcomes {
            match outcome {
                Outcome::Attached(mode) => {
                    let next = || platform::receive_descriptor(&self.descriptors);
                    let attachment = next().and_then(|link| {
                        let counters = next()?;
                        Ok(Attachment {
                            mode,
                            link,
                            counters,
                        })
                    });
                    let attachment = attachment.map_err(|error| error.to_string())?;
                    attached.push(Attached::new(attachment, system));
                }
                Outcome::Refused(words) => refusals.push(Escaped(&words).to_string()),
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loading")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

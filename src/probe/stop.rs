//! Signals: the end that somebody asks for.

use std::os::fd::{AsFd, BorrowedFd};

use crate::daemon::Fault;
use crate::daemon::signals::{Request, Signals};

/// Whether somebody asked for the end.
#[derive(Debug, Default)]
pub struct Stop {
    /// Without any, a signal ends the process by itself.
    signals: Option<Signals>,
    asked: bool,
    report: bool,
}

impl Stop {
    /// Catches SIGINT, SIGTERM and SIGHUP, and SIGINFO where the system has it.
    ///
    /// # Errors
    /// Of sigaction(2), sigprocmask(2) or socketpair(2).
    pub fn catch() -> Result<Self, Fault> {
        Ok(Self {
            signals: Some(Signals::catch()?),
            ..Self::default()
        })
    }

    /// Readable when there is something to ask for.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.signals.as_ref().map(AsFd::as_fd)
    }

    /// Whether the end was asked for, once or ever.
    pub fn is_asked(&mut self) -> bool {
        while let Some(request) = self.signals.as_mut().and_then(Signals::take) {
            match request {
                Request::Stop | Request::Reload => self.asked = true,
                Request::Report => self.report = true,
            }
        }
        self.asked
    }

    /// Whether a summary was asked for since the last call.
    pub fn wants_report(&mut self) -> bool {
        self.is_asked();
        std::mem::take(&mut self.report)
    }
}

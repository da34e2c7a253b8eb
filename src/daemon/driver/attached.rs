//! One program at one interface.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::net::if_::if_nametoindex;
use platform::OsError;
use platform::accelerator::{Attachment, Counts};

use crate::daemon::status::Accelerated;
use crate::verdict::Counters;

/// A program that is attached for as long as this has its link.
#[derive(Debug)]
pub(super) struct Attached {
    interface: String,
    /// The number of the interface, if it was there: another of the same name has another.
    index: Option<u32>,
    mode: String,
    link: Option<OwnedFd>,
    map: OwnedFd,
    counters: Counters,
}

impl Attached {
    /// A program that has been attached to this interface.
    pub(super) fn new(interface: String, attachment: Attachment) -> Self {
        Self {
            index: if_nametoindex(interface.as_str()).ok(),
            interface,
            mode: attachment.mode.to_string(),
            link: Some(attachment.link),
            map: attachment.counters,
            counters: Counters::new(),
        }
    }

    /// Whether the interface is the one that it was attached to.
    pub(super) fn is_there(&self) -> bool {
        let index = if_nametoindex(self.interface.as_str()).ok();
        index.is_some() && index == self.index
    }

    /// For whoever asks.
    pub(super) fn shown(&self) -> Accelerated {
        Accelerated {
            interface: self.interface.clone(),
            mode: self.mode.clone(),
        }
    }

    /// Has it run no more. What it has counted can still be read.
    pub(super) fn close(&mut self) {
        self.link = None;
    }

    /// Reads what it has counted.
    ///
    /// # Errors
    /// Those of `counts`; then the numbers are those that were read last.
    pub(super) fn read(
        &mut self,
        counts: fn(BorrowedFd<'_>) -> Result<Counts, OsError>,
    ) -> Result<(), OsError> {
        let counts = counts(self.map.as_fd())?;
        self.counters.raise(&counts.into());
        Ok(())
    }

    /// What it has counted, as far as it was read.
    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }
}

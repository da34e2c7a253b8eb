//! One program at one interface.

use std::os::fd::{AsFd, OwnedFd};

use platform::OsError;
use platform::accelerator::{Attachment, Place};

use super::System;
use crate::daemon::status::Accelerated;
use crate::verdict::Counters;

/// A program that is attached for as long as this has its link.
#[derive(Debug)]
pub(super) struct Attached {
    /// Where it was attached.
    place: Option<Place>,
    mode: String,
    link: Option<OwnedFd>,
    map: OwnedFd,
    counters: Counters,
}

impl Attached {
    /// A program that has just been attached.
    pub(super) fn new(attachment: Attachment, system: System) -> Self {
        Self {
            place: place(Some(&attachment.link), system),
            mode: attachment.mode.to_string(),
            link: Some(attachment.link),
            map: attachment.counters,
            counters: Counters::new(),
        }
    }

    /// Whether it is where it was attached, and that has not changed.
    pub(super) fn is_there(&self, system: System) -> bool {
        let now = place(self.link.as_ref(), system);
        now.is_some() && now == self.place
    }

    /// Whether it was attached to the interface of this name.
    pub(super) fn is_at(&self, interface: &str) -> bool {
        let place = self.place.as_ref();
        place.is_some_and(|place| place.interface == interface)
    }

    /// For whoever asks; `None` if it does nothing any more.
    pub(super) fn shown(&self, system: System) -> Option<Accelerated> {
        let now = place(self.link.as_ref(), system)?;
        let attached = self.place.as_ref()?;
        (now.ethernet == attached.ethernet).then(|| Accelerated {
            interface: now.interface,
            mode: self.mode.clone(),
        })
    }

    /// Has it run no more. What it has counted can still be read.
    pub(super) fn close(&mut self) {
        self.link = None;
    }

    /// Whether it runs no more.
    pub(super) fn is_closed(&self) -> bool {
        self.link.is_none()
    }

    /// Reads what it has counted.
    ///
    /// # Errors
    /// Those of the system; then the numbers are those that were read last.
    pub(super) fn read(&mut self, system: System) -> Result<(), OsError> {
        let counts = (system.counts)(self.map.as_fd())?;
        self.counters.raise(&counts.into());
        Ok(())
    }

    /// What it has counted, as far as it was read.
    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }
}

fn place(link: Option<&OwnedFd>, system: System) -> Option<Place> {
    (system.place)(link?.as_fd()).ok().flatten()
}

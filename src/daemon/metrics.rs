//! Metrics as the monitor sees them: the socket that listens, the exporter that serves them there, and what that is told.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `listener` | the socket that listens |
//! | `process` | one exporter: start, messages, end |
//! | `telling` | when it is told what is new |
//!
//! Nothing here waits: an exporter that does not read is told later, and then what is new by then.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use log::{info, warn};
use nix::poll::PollFlags;

use super::again::Again;
use super::exporter::messages::{Order, ToExporter};
use super::program::Program;
use super::status::Status;

mod listener;
mod process;
mod telling;

pub use listener::Listener;
use process::{Exporter, ended};
pub use telling::Telling;

/// The metrics of a server, if it has any.
#[derive(Debug, Default)]
pub struct Metrics {
    listener: Option<Listener>,
    exporter: Option<Exporter>,
    /// Exporters that are to end.
    ending: Vec<Exporter>,
    again: Again,
    /// Whether one has died since one served.
    died: bool,
}

impl Metrics {
    /// Those at a socket, from when [`Metrics::begin`] is called.
    pub fn new(listener: Option<Listener>) -> Self {
        Self {
            listener,
            ..Self::default()
        }
    }

    /// Where they are.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().map(Listener::address)
    }

    /// Has an exporter start.
    pub fn begin(&mut self, now: Instant) {
        match self.listener {
            Some(_) => self.again.begin(now),
            None => self.again.reset(),
        }
    }

    /// Moves them to another socket, or to none.
    pub fn move_to(&mut self, listener: Option<Listener>, now: Instant) {
        self.end();
        self.listener = listener;
        self.begin(now);
    }

    /// Ends the exporter, and starts no other.
    pub fn end(&mut self) {
        self.again.cancel();
        self.died = false;
        if let Some(mut exporter) = self.exporter.take() {
            exporter.kill();
            self.ending.push(exporter);
        }
    }

    /// Whether every exporter that was to end has ended.
    pub fn are_over(&self) -> bool {
        self.exporter.is_none() && self.ending.is_empty()
    }

    /// Whether an exporter is to start now.
    pub fn lack_exporter(&self, now: Instant) -> bool {
        self.exporter.is_none() && self.again.is_due(now)
    }

    /// Starts an exporter with an order, in which it writes the number of the socket.
    pub fn start(&mut self, program: &Program, order: Order, now: Instant) {
        let Some(listener) = &self.listener else {
            return self.again.cancel();
        };
        self.again.cancel();
        match process::start(program, order, listener) {
            Ok(exporter) => self.exporter = Some(exporter),
            Err(fault) => self.try_again(&format!("no metrics: {fault}"), now),
        }
    }

    fn try_again(&mut self, what: &str, now: Instant) {
        warn!("{what}; {}", self.again.when());
        self.again.schedule(now);
        self.died = true;
    }

    /// Hears exporters, and sees how they end.
    pub fn tend(&mut self, now: Instant) {
        self.ending
            .retain_mut(|exporter| ended(exporter, now).is_none());
        let Some(exporter) = &mut self.exporter else {
            return;
        };
        let served = exporter.serves();
        let ended = ended(exporter, now);
        if self.died && exporter.serves() && ended.is_none() {
            self.died = false;
            let at = self.listener.as_ref().map(Listener::address);
            info!(
                "metrics again at {}",
                at.map(|at| at.to_string()).unwrap_or_default()
            );
        }
        let Some(words) = ended else {
            return;
        };
        self.again.died(exporter.age());
        self.exporter = None;
        match served {
            true => self.try_again(&format!("the exporter died ({words})"), now),
            false => self.try_again(&format!("no metrics: {words}"), now),
        }
    }

    /// Whether the exporter could be told something now.
    pub fn listen(&self) -> bool {
        self.exporter.as_ref().is_some_and(Exporter::has_room)
    }

    /// Tells the exporter.
    pub fn tell(&mut self, status: Status) {
        if let Some(exporter) = &self.exporter {
            exporter.tell(&ToExporter::Told(Box::new(status)));
        }
    }

    /// Descriptors, and what to wait for there.
    pub fn awaited(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let exporters = self.exporter.iter().chain(&self.ending);
        exporters.filter_map(Exporter::awaited)
    }

    /// When to look at them, whatever happens there.
    pub fn deadline(&self) -> Option<Instant> {
        let exporters = self.exporter.iter().chain(&self.ending);
        let deadlines = exporters.map(Exporter::deadline);
        deadlines.chain([self.again.due()]).flatten().min()
    }
}

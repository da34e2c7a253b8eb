//! An exporter as the monitor sees it. Nothing here waits.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::poll::PollFlags;
use platform::OsError;

use super::Listener;
use crate::daemon::Fault;
use crate::daemon::exporter;
use crate::daemon::exporter::messages::{ExporterChannel, FromExporter, Order, ToExporter};
use crate::daemon::messages::TIMEOUT;
use crate::daemon::program::{Kept, Program, Watched};
use crate::escape::Escaped;

/// An exporter: a process, and the stream to it.
#[derive(Debug)]
pub(super) struct Exporter {
    pub(super) process: Watched,
    pub(super) channel: ExporterChannel,
    pub(super) started: Instant,
    pub(super) serves: bool,
    /// Why it ends, in its own words or in the monitor's.
    words: Option<String>,
}

impl Exporter {
    /// Starts one at a socket, whose number it writes into the order.
    ///
    /// # Errors
    /// Of the system, which has no process or descriptors for it.
    pub(super) fn start(
        program: &Program,
        mut order: Order,
        listener: &Listener,
    ) -> Result<Self, Fault> {
        let failed = |call: &'static str| move |error: io::Error| OsError::new(call, "", error);
        let (ours, theirs) = UnixStream::pair().map_err(failed("socketpair"))?;
        let channel = ExporterChannel::new(ours).map_err(failed("ioctl FIONBIO"))?;
        let mut kept = Kept::default();
        let control = kept.keep(&theirs)?;
        order.listener = kept.keep(listener)?;
        let mut command = program.alone(theirs);
        command.args(exporter::arguments(control));
        let process = Watched::start(&mut command, TIMEOUT)?;
        // No copy of the exporter's end may stay open here: its death must show as the end of the stream.
        drop((kept, command));
        let mut exporter = Self {
            process,
            channel,
            started: Instant::now(),
            serves: false,
            words: None,
        };
        if let Err(error) = exporter.channel.queue(&ToExporter::Order(Box::new(order))) {
            exporter.end_because(&format!("the exporter does not take its order: {error}"));
        }
        Ok(exporter)
    }

    /// Whether all that it was told has left.
    pub(super) fn has_room(&self) -> bool {
        !self.channel.interest().contains(PollFlags::POLLOUT)
    }

    /// Hears it; why it ended, if it has.
    pub(super) fn ended(&mut self, now: Instant) -> Option<String> {
        let _ = self.channel.flush();
        while self.process.speaks() {
            match self.channel.try_receive() {
                Ok(Some(FromExporter::Logged(line))) => self.process.relay(&line, now),
                Ok(Some(FromExporter::Ready)) => {
                    self.serves = true;
                    self.process.may_stay();
                }
                Ok(Some(FromExporter::Failed(words))) => {
                    self.words.get_or_insert(Escaped(&words).to_string());
                }
                Ok(None) => self.process.has_said_all(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.end_because(&format!("the exporter said what is no message: {error}"));
                }
            }
        }
        if self.process.is_late(now) && !self.serves {
            let late = format!(
                "the exporter did not begin within {} seconds",
                TIMEOUT.as_secs()
            );
            self.words.get_or_insert(late);
        }
        let status = self.process.ended(now)?;
        Some(self.words.take().unwrap_or(status))
    }

    fn end_because(&mut self, words: &str) {
        self.words.get_or_insert(Escaped(words).to_string());
        self.process.has_said_all();
        self.process.kill();
    }
}

//! A process that has an order through a stream and is heard there, as the monitor sees it: a worker, an exporter or an
//! accelerator. Nothing here waits.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use platform::OsError;

use super::Fault;
use super::channel::{Channel, Message};
use super::messages::TIMEOUT;
use super::program::{Kept, Program, Watched};
use crate::escape::Escaped;
use crate::logging::LogLine;

/// A process, the stream to it, and what it comes to.
#[derive(Debug)]
pub struct Peer<In, Out> {
    /// What it is, in the words of the log.
    name: &'static str,
    process: Watched,
    channel: Channel<In, Out>,
    started: Instant,
    /// How long it may take to what it is to do.
    time: Duration,
    serves: bool,
    /// Why it ends, in its own words or in the monitor's.
    words: Option<String>,
}

impl<In: Message, Out: Message> Peer<In, Out> {
    /// Starts one with the arguments for the number of its end of the stream, and with an order, whose descriptors are to be kept
    /// open for it.
    ///
    /// # Errors
    /// Of the system, which has no process or descriptors for it, and those of `order`.
    pub fn start(
        program: &Program,
        name: &'static str,
        arguments: impl FnOnce(RawFd) -> [String; 2],
        order: impl FnOnce(&mut Kept) -> Result<Out, Fault>,
    ) -> Result<Self, Fault> {
        let failed =
            |call: &'static str| move |error: std::io::Error| OsError::new(call, "", error);
        let (ours, theirs) = UnixStream::pair().map_err(failed("socketpair"))?;
        let channel = Channel::new(ours).map_err(failed("ioctl FIONBIO"))?;
        let mut kept = Kept::default();
        let control = kept.keep(&theirs)?;
        let order = order(&mut kept)?;
        let mut command = program.alone(theirs);
        command.args(arguments(control));
        let process = Watched::start(&mut command, TIMEOUT)?;
        // No copy of its end may stay open here: its death must show as the end of the stream.
        drop((kept, command));
        let mut peer = Self {
            name,
            process,
            channel,
            started: Instant::now(),
            time: TIMEOUT,
            serves: false,
            words: None,
        };
        match peer.channel.queue(&order) {
            // One that has ended already. What it said, and its status, tell more.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ) => {}
            Err(error) => peer.end_because(&format!("does not take its order: {error}")),
            Ok(()) => {}
        }
        Ok(peer)
    }

    /// Gives it this long, from now on, in place of [`TIMEOUT`].
    pub fn give(&mut self, time: Duration) {
        self.time = time;
        self.process.give(time);
    }

    /// How long it has lived.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether it has said that it serves.
    pub fn serves(&self) -> bool {
        self.serves
    }

    /// Whether it has ended, with status 0.
    pub fn succeeded(&self) -> bool {
        self.process.succeeded()
    }

    /// Tells it something. One that is gone does not hear.
    pub fn tell(&self, message: &Out) {
        let _ = self.channel.queue(message);
    }

    /// Whether it can be told something now: it is there, and all before that has left.
    pub fn has_room(&self) -> bool {
        self.process.speaks() && !self.channel.interest().contains(PollFlags::POLLOUT)
    }

    /// Tells it to stop. After `timeout` it is killed.
    pub fn stop(&mut self, timeout: Duration) {
        let _ = self.channel.flush();
        self.channel.finish();
        self.process.expect_end(timeout);
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Its descriptor and what to wait for there; nothing where it has nothing more to say.
    pub fn awaited(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let flags = self.channel.interest();
        self.process
            .speaks()
            .then_some((self.channel.as_fd(), flags))
    }

    /// When it has to be looked at, whatever it says.
    pub fn deadline(&self) -> Option<Instant> {
        self.process.deadline()
    }

    /// What it has said; to be called until there is nothing.
    pub fn hear(&mut self) -> Option<In> {
        let _ = self.channel.flush();
        while self.process.speaks() {
            match self.channel.try_receive() {
                Ok(Some(message)) => return Some(message),
                Ok(None) => self.process.has_said_all(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => self.end_because(&format!("said what is no message: {error}")),
            }
        }
        None
    }

    /// It said a line for the log.
    pub fn logged(&mut self, line: &LogLine, now: Instant) {
        self.process.relay(line, now);
    }

    /// It said that it serves.
    pub fn is_ready(&mut self) {
        self.serves = true;
        self.process.may_stay();
    }

    /// It said why it ends.
    pub fn failed(&mut self, words: &str) {
        self.words.get_or_insert(Escaped(words).to_string());
    }

    /// Ends it for what it did.
    pub fn end_because(&mut self, what: &str) {
        self.failed(&format!("the {} {what}", self.name));
        self.process.has_said_all();
        self.process.kill();
    }

    /// Its words and its status once it has ended. One that does not serve in time is ended, and `late` says what it did not do.
    pub fn ended(&mut self, now: Instant, late: &str) -> Option<(Option<String>, String)> {
        if self.process.is_late(now) && !self.serves {
            let (name, seconds) = (self.name, self.time.as_secs());
            self.failed(&format!("the {name} {late} within {seconds} seconds"));
        }
        let status = self.process.ended(now)?;
        Some((self.words.take(), status))
    }
}

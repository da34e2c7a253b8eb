//! A worker as the monitor sees it: started, ready, stopped. Nothing here waits.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use platform::OsError;

use super::Fault;
use super::messages::{FromWorker, Order, PairNumbers, TIMEOUT, ToWorker, WorkerChannel};
use super::program::{Kept, Program, Watched};
use super::sockets::Sockets;
use crate::cli::worker::Arguments;
use crate::escape::Escaped;
use crate::verdict::Counters;

/// How long a worker may take to stop when its successor serves already.
pub const RELIEVED: Duration = TIMEOUT;

/// A worker: a process, and the stream to it.
#[derive(Debug)]
pub struct Child {
    process: Watched,
    channel: WorkerChannel,
    started: Instant,
    serves: bool,
    counters: Counters,
    /// How often it was asked for them and has not answered.
    asked: u32,
    /// Why it ends, in its own words or in the monitor's.
    words: Option<String>,
}

/// What there is to know of a worker.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// It serves.
    Ready,
    /// It has told what it counted, as often as it was asked: [`Child::counters`].
    Counted,
    /// It is gone, for this reason.
    Ended(String),
}

impl Child {
    /// Starts a worker on the sockets, whose numbers it writes into the order.
    ///
    /// # Errors
    /// Of the system, which has no process or descriptors for it.
    pub fn start(program: &Program, mut order: Order, sockets: &Sockets) -> Result<Self, Fault> {
        let (ours, theirs) =
            UnixStream::pair().map_err(|error| OsError::new("socketpair", "", error))?;
        let channel =
            WorkerChannel::new(ours).map_err(|error| OsError::new("ioctl", "FIONBIO", error))?;
        let mut kept = Kept::default();
        let control = kept.keep(&theirs)?;
        for (primary, secondary) in sockets.pairs() {
            let primary = kept.keep(primary)?;
            let secondary = secondary.map(|socket| kept.keep(socket)).transpose()?;
            order.udp.push(PairNumbers { primary, secondary });
        }
        order.raw = sockets.raw.as_ref().map(|raw| kept.keep(raw)).transpose()?;
        let mut command = program.alone(theirs);
        command.args(Arguments::to_worker(control));
        let process = Watched::start(&mut command, TIMEOUT)?;
        // No copy of the worker's end may stay open here: its death must show as the end of the stream.
        drop(kept);
        let mut child = Self {
            process,
            channel,
            started: Instant::now(),
            serves: false,
            counters: Counters::default(),
            asked: 0,
            words: None,
        };
        match child.channel.queue(&ToWorker::Order(Box::new(order))) {
            // One that has ended already. What it said, and its status, tell more.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                child.end_because(&format!("the worker does not take its order: {error}"))
            }
            Ok(()) => {}
        }
        Ok(child)
    }

    /// How long it has lived.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// What it has counted, as far as it has told.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether it has served and ended before it told all that it had counted.
    pub fn has_kept_something(&self) -> bool {
        self.serves && !self.process.succeeded()
    }

    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Asks it to tell what it has counted.
    pub fn ask_counters(&mut self) {
        // One that is gone does not tell.
        let _ = self.channel.queue(&ToWorker::Count);
        self.asked = self.asked.saturating_add(1);
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

    /// What is new; to be called until it says that nothing is.
    pub fn news(&mut self, now: Instant) -> Option<News> {
        let _ = self.channel.flush();
        while self.process.speaks() {
            match self.channel.try_receive() {
                Ok(Some(FromWorker::Logged(line))) => self.process.relay(&line, now),
                Ok(Some(FromWorker::Counted(counters))) => {
                    self.counters.raise(&counters);
                    self.asked = self.asked.saturating_sub(1);
                    if self.asked == 0 {
                        return Some(News::Counted);
                    }
                }
                Ok(Some(FromWorker::Published(counters))) => self.counters.raise(&counters),
                Ok(Some(FromWorker::Ready)) if !self.serves => {
                    self.serves = true;
                    self.process.may_stay();
                    return Some(News::Ready);
                }
                Ok(Some(FromWorker::Ready)) => {
                    self.end_because("the worker said twice that it serves")
                }
                Ok(Some(FromWorker::Failed(words))) => {
                    self.words.get_or_insert(Escaped(&words).to_string());
                }
                Ok(None) => self.process.has_said_all(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.end_because(&format!("the worker said what is no message: {error}"))
                }
            }
        }
        if self.process.is_late(now) && !self.serves {
            let late = format!(
                "the worker did not report that it serves within {} seconds",
                TIMEOUT.as_secs()
            );
            self.words.get_or_insert(late);
        }
        let status = self.process.ended(now)?;
        Some(News::Ended(match (self.words.take(), self.serves) {
            (Some(words), _) => words,
            (None, true) => status,
            (None, false) => format!("the worker ended before it served: {status}"),
        }))
    }

    fn end_because(&mut self, words: &str) {
        self.words.get_or_insert(Escaped(words).to_string());
        self.process.has_said_all();
        self.process.kill();
    }
}

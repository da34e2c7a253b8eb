//! The process that reads the configuration: as the user who started the server, then, while it looks names up, as the user
//! of the worker. So a file that is a FIFO nobody writes to, or a resolver that does not answer, holds up nobody, and what the
//! network says to the resolver is read by nobody who is root.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{self, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use log::LevelFilter;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use platform::OsError;
use serde::{Deserialize, Serialize};

use super::Fault;
use super::channel::{Channel, Message};
use super::identity::{self, Owner};
use super::plan::Plan;
use super::poll::{poll_or_rest, poll_until};
use super::program::{Program, Watched};
use crate::cli::Options;
use crate::conf::Diagnostic;
use crate::logging::{self, LogLine};

/// The first argument of such a process. Those of the server follow.
const READER: &str = "--reader";

/// How long it may take in all.
const TIME: Duration = Duration::from_secs(30);

/// What it says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FromReader {
    /// A fault of the configuration, or a warning.
    Diagnostic(Diagnostic),
    /// A line for the log.
    Logged(LogLine),
    /// There is no plan, and why.
    Failed(Fault),
    /// What the configuration comes to.
    Plan(Box<Plan>),
}

impl Message for FromReader {
    /// A diagnostic shows one line of a file, which may be as long as the file.
    const MAX_LEN: usize = 1 << 22;
}

/// Nothing is said to it.
#[derive(Debug, Serialize, Deserialize)]
enum ToReader {}

impl Message for ToReader {
    const MAX_LEN: usize = 0;
}

/// The arguments of the server, in a process that was started to read its configuration.
pub fn arguments_of_reader(arguments: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let mut arguments = arguments.skip(1).peekable();
    (arguments.next()? == READER).then(|| arguments.collect())
}

/// Reads the configuration and says what comes of it on standard output, which is a stream.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let options =
        Options::parse_from(std::iter::once(OsString::from("miredo-server")).chain(arguments));
    let stream = io::stdout().as_fd().try_clone_to_owned();
    let channel =
        match stream.and_then(|stream| Channel::<ToReader, FromReader>::new(stream.into())) {
            Ok(channel) => channel,
            Err(error) => {
                let _ = writeln!(io::stderr(), "miredo-server: {error}");
                return ExitCode::FAILURE;
            }
        };
    end_with_server();
    let sender = channel.sender();
    let say = move |message: &FromReader| sender.send(message, TIME).is_ok();
    let log = say.clone();
    logging::forward(
        LevelFilter::Info,
        Box::new(move |line| log(&FromReader::Logged(line))),
    );
    let last = match read(&options, &mut |diagnostic| {
        say(&FromReader::Diagnostic(diagnostic.clone()));
    }) {
        Ok(plan) => FromReader::Plan(Box::new(plan)),
        Err(fault) => FromReader::Failed(fault),
    };
    match say(&last) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Ends this process when its server is gone, which a FIFO that nobody writes to would outlast. Without a thread for that, it goes
/// on all the same.
fn end_with_server() {
    let watch = || loop {
        // Nothing is ever said to a reader: this is the end of the stream.
        match poll_until(
            &mut [PollFd::new(io::stdout().as_fd(), PollFlags::POLLIN)],
            None,
        ) {
            Err(Errno::EINTR) => {}
            Ok(_) => process::exit(1),
            Err(_) => return,
        }
    };
    let _ = thread::Builder::new().name("watch".to_owned()).spawn(watch);
}

fn read(options: &Options, report: &mut dyn FnMut(&Diagnostic)) -> Result<Plan, Fault> {
    let parsed = options.load();
    parsed.diagnostics.iter().for_each(&mut *report);
    if let Owner::Become(identity) = identity::owner(options)? {
        platform::change_user(&identity)?;
    }
    Plan::resolve(options, parsed, report)
}

/// Such a process, as the server sees it.
#[derive(Debug)]
pub struct Reader {
    process: Watched,
    channel: Channel<FromReader, ToReader>,
    outcome: Option<Result<Plan, Fault>>,
}

impl Reader {
    /// Starts one.
    ///
    /// # Errors
    /// Of the system, which has no process or descriptors for it.
    pub fn start(program: &Program, options: &Options) -> Result<Self, Fault> {
        let (ours, theirs) =
            UnixStream::pair().map_err(|error| OsError::new("socketpair", "", error))?;
        let channel =
            Channel::new(ours).map_err(|error| OsError::new("ioctl", "FIONBIO", error))?;
        let mut command = program.command();
        command
            .arg(READER)
            .args(options.to_reader())
            .stdout(Stdio::from(OwnedFd::from(theirs)));
        Ok(Self {
            process: Watched::start(&mut command, TIME)?,
            channel,
            outcome: None,
        })
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Its descriptor and what to wait for there; nothing where it has nothing more to say.
    pub fn awaited(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        (self.process.speaks()).then_some((self.channel.as_fd(), PollFlags::POLLIN))
    }

    /// When it has to be looked at, whatever it says.
    pub fn deadline(&self) -> Option<Instant> {
        self.process.deadline()
    }

    /// What came of it, once it has ended. Each fault of the configuration goes to `report`.
    pub fn outcome(
        &mut self,
        now: Instant,
        report: &mut dyn FnMut(&Diagnostic),
    ) -> Option<Result<Plan, Fault>> {
        while self.process.speaks() {
            match self.channel.try_receive() {
                Ok(Some(FromReader::Diagnostic(diagnostic))) => report(&diagnostic),
                Ok(Some(FromReader::Logged(line))) => self.process.relay(&line, now),
                Ok(Some(FromReader::Failed(fault))) => self.outcome = Some(Err(fault.escaped())),
                Ok(Some(FromReader::Plan(plan))) => self.outcome = Some(Ok(*plan)),
                Ok(None) => self.process.has_said_all(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.outcome = Some(Err(Fault::new(format!("configuration: {error}"))));
                    self.process.has_said_all();
                }
            }
        }
        if self.process.is_late(now) && self.process.speaks() {
            self.outcome = Some(Err(Fault::new(format!(
                "the configuration was not read, or a name not looked up, within {} seconds",
                TIME.as_secs()
            ))));
        }
        let status = self.process.ended(now)?;
        let silent = || {
            Err(Fault::new(format!(
                "the configuration was not read: {status}"
            )))
        };
        Some(self.outcome.take().unwrap_or_else(silent))
    }

    /// Waits for what comes of it: at start, when there is nothing else to do.
    ///
    /// # Errors
    /// Why there is no plan.
    pub fn wait(mut self, report: &mut dyn FnMut(&Diagnostic)) -> Result<Plan, Fault> {
        loop {
            if let Some(outcome) = self.outcome(Instant::now(), report) {
                return outcome;
            }
            // Until SIGCHLD is caught, a process that has said all is asked for now and then.
            let soon = Instant::now().checked_add(Duration::from_millis(2));
            let awaited = self.awaited().map(|(end, flags)| PollFd::new(end, flags));
            let deadline = if awaited.is_some() {
                self.deadline()
            } else {
                soon
            };
            poll_or_rest(&mut awaited.into_iter().collect::<Vec<_>>(), deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_known_by_its_first_argument() {
        let read = |words: &[&str]| arguments_of_reader(words.iter().map(OsString::from));
        assert_eq!(read(&["miredo-server"]), None);
        assert_eq!(read(&["miredo-server", "-f", READER]), None);
        assert_eq!(
            read(&["miredo-server", READER, "-f"]),
            Some(vec!["-f".into()])
        );
    }
}

//! A worker as the monitor sees it: start, readiness, stop.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use platform::OsError;

use super::Fault;
use super::messages::{FromWorker, Order, PairNumbers, TIMEOUT, ToWorker, WorkerChannel};
use super::sockets::Sockets;
use crate::cli::worker::Arguments;
use crate::escape::Escaped;
use crate::logging::Target;
use crate::verdict::Counters;

/// How long a worker may take from its last message to its end.
const EXIT_TIMEOUT: Duration = Duration::from_millis(500);

/// The environment variables that a worker gets if it logs to stderr. It gets no other.
const KEPT_ENVIRONMENT: [&str; 3] = ["RUST_LOG", "RUST_BACKTRACE", "JOURNAL_STREAM"];

/// A worker that serves. Its descriptor is readable when it may have died: see [`Child::has_died`].
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    channel: WorkerChannel,
    started: Instant,
}

/// The file of this program, which is executed as worker.
#[derive(Debug)]
pub struct Program(PathBuf);

impl Program {
    /// Finds the file. Call it at start, before the file can be replaced.
    ///
    /// # Errors
    /// When the system does not tell where the file is.
    pub fn current() -> Result<Self, Fault> {
        std::env::current_exe()
            .map(|path| Self(in_search_path(&path).unwrap_or(path)))
            .map_err(|error| Fault::new(format!("cannot find this program's own file: {error}")))
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Child {
    /// Starts a worker on the sockets, whose numbers it writes into the order, and waits until it serves.
    ///
    /// # Errors
    /// What the worker says of its start, or that it ended and said nothing.
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
        let process = command(program, control, order.log)
            .spawn()
            .map_err(|error| OsError::new("execute", program.0.display(), error))?;
        // No copy of the worker's end may stay open here: its death must show as the end of the stream.
        drop((kept, theirs));
        let child = Self {
            process,
            channel,
            started: Instant::now(),
        };
        child.until_ready(order)
    }

    /// The time since it was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether it has died. Does not wait. A message that has arrived in part is no death.
    pub fn has_died(&mut self) -> bool {
        loop {
            match self.channel.try_receive() {
                // The answer to a question that has timed out.
                Ok(Some(FromWorker::Counted(_))) => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
                // The end of the stream, or a message that comes before it.
                Ok(_) => return true,
            }
        }
    }

    /// What it has counted so far; `None` if it does not answer.
    pub fn counters(&mut self) -> Option<Counters> {
        self.channel.send(&ToWorker::Count, TIMEOUT).ok()?;
        self.counted()
    }

    /// Tells it to stop, waits until it has, and returns what it counted.
    pub fn stop(mut self) -> Counters {
        self.channel.finish();
        let counters = self.counted().unwrap_or_default();
        self.reap();
        counters
    }

    /// Says how it ended.
    pub fn end(mut self) -> String {
        match self.reap() {
            Some(status) => status.to_string(),
            None => "unknown reason".to_owned(),
        }
    }

    fn counted(&mut self) -> Option<Counters> {
        match self.channel.receive(Some(TIMEOUT)) {
            Ok(Some(FromWorker::Counted(counters))) => Some(*counters),
            _ => None,
        }
    }

    /// Sends the order and waits until it serves.
    fn until_ready(mut self, order: Order) -> Result<Self, Fault> {
        let order = ToWorker::Order(Box::new(order));
        match self.channel.send(&order, TIMEOUT) {
            // A worker that has ended may have said why: see below.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                return Err(self.unresponsive("take its order", &error));
            }
            _ => {}
        }
        match self.channel.receive(Some(TIMEOUT)) {
            Ok(Some(FromWorker::Ready)) => Ok(self),
            Ok(Some(FromWorker::Failed(words))) => {
                self.reap();
                Err(Fault::new(Escaped(&words).to_string()))
            }
            Ok(_) => Err(Fault::new(format!(
                "the worker ended before it served: {}",
                self.end()
            ))),
            Err(error) => Err(self.unresponsive("say that it serves", &error)),
        }
    }

    /// Ends a worker that does not answer, or answers nonsense.
    fn unresponsive(mut self, what: &str, error: &io::Error) -> Fault {
        let why = match error.kind() {
            ErrorKind::TimedOut => format!("no answer in {} seconds", TIMEOUT.as_secs()),
            _ => error.to_string(),
        };
        let _ = self.process.kill();
        Fault::new(format!(
            "the worker does not {what}: {}; {}",
            Escaped(&why),
            self.end()
        ))
    }

    /// Waits a moment for its end, then kills it: a worker that was taken over could close the stream and live on.
    /// It asks again and again, because no system call of all systems waits for a child with a time limit.
    fn reap(&mut self) -> Option<ExitStatus> {
        for _ in 0..EXIT_TIMEOUT.as_millis() {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // It fails when the process is gone, which is as good.
        let _ = self.process.kill();
        self.process.wait().ok()
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

/// Copies of descriptors that stay open over exec. The monitor closes them when the worker has them.
#[derive(Default)]
struct Kept(Vec<OwnedFd>);

impl Kept {
    fn keep(&mut self, socket: &impl AsFd) -> Result<i32, Fault> {
        let copy = platform::keep(socket)?;
        let number = copy.as_raw_fd();
        self.0.push(copy);
        Ok(number)
    }
}

/// Looks a name without a directory up in PATH. Of a program that was found there, OpenBSD tells no more than the name.
fn in_search_path(name: &Path) -> Option<PathBuf> {
    if name.components().count() != 1 {
        return None;
    }
    let directories = std::env::var_os("PATH")?;
    let mut files = std::env::split_paths(&directories).map(|directory| directory.join(name));
    files.find(|file| file.is_file())?.canonicalize().ok()
}

fn command(program: &Program, control: RawFd, log: Target) -> Command {
    let mut command = Command::new(&program.0);
    command
        .args(Arguments::to_worker(control))
        .stdin(Stdio::null())
        .env_clear();
    match log {
        Target::Stderr => {
            let kept = KEPT_ENVIRONMENT.map(|name| Some((name, std::env::var_os(name)?)));
            command.envs(kept.into_iter().flatten());
        }
        // A caller may wait until both are closed.
        Target::Syslog(_) => {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
    }
    // The loops have threads of their own. async-std's are idle: one is enough.
    command.env("ASYNC_STD_THREAD_COUNT", "1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_up_and_a_path_is_not() {
        let found = in_search_path(Path::new("sh")).unwrap();
        assert!(found.is_absolute() && found.is_file(), "{found:?}");
        for name in ["/bin/sh", "bin/sh", "no-such-program-anywhere"] {
            assert_eq!(in_search_path(Path::new(name)), None, "{name}");
        }
    }
}

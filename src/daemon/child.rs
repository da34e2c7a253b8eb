//! A worker as the monitor sees it: started, ready, stopped.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use platform::OsError;

use super::Fault;
use super::order::{Order, PairNumbers};
use super::sockets::Sockets;
use super::worker::Word;
use crate::logging::Target;
use crate::verdict::Counters;

/// How long a worker may take to say that it serves, or to end once told.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take from the last word to the end.
const GRACE: Duration = Duration::from_millis(500);

/// In bytes: thrice the counters with twenty digits each.
const LONGEST_WORD: u64 = 4096;

/// Passed on to a worker that logs to stderr; everything else of the environment is not.
const KEPT_ENVIRONMENT: [&str; 3] = ["RUST_LOG", "RUST_BACKTRACE", "JOURNAL_STREAM"];

/// A worker that serves. Its descriptor is readable when it has died.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    words: UnixStream,
    started: Instant,
}

/// The program to execute as worker: this one.
#[derive(Debug)]
pub struct Program(PathBuf);

impl Program {
    /// Found once, at start, before the file can be replaced.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn current() -> Result<Self, Fault> {
        std::env::current_exe()
            .map(|path| Self(in_search_path(&path).unwrap_or(path)))
            .map_err(|error| Fault::new(format!("cannot find this program's own file: {error}")))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Child {
    /// Starts a worker on the sockets and waits until it serves.
    ///
    /// # Errors
    /// What the worker says of its own start, or that it ended without a word.
    pub fn start(program: &Program, mut order: Order, sockets: &Sockets) -> Result<Self, Fault> {
        let (ours, theirs) =
            UnixStream::pair().map_err(|error| OsError::new("socketpair", "", error))?;
        let mut passed = Passed::default();
        order.control = passed.keep(&theirs)?;
        for (primary, secondary) in sockets.pairs() {
            let primary = passed.keep(primary)?;
            let secondary = secondary.map(|socket| passed.keep(socket)).transpose()?;
            order.udp.push(PairNumbers { primary, secondary });
        }
        order.raw = sockets
            .raw
            .as_ref()
            .map(|raw| passed.keep(raw))
            .transpose()?;
        let process = command(program, &order)
            .spawn()
            .map_err(|error| OsError::new("execute", program.0.display(), error))?;
        // The worker's death must be seen as the end of the stream: no copy of its end stays here.
        drop((passed, theirs));
        let child = Self {
            process,
            words: ours,
            started: Instant::now(),
        };
        child.until_ready()
    }

    /// How long it has served.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// What it has counted so far; nothing if it does not say.
    pub fn counters(&mut self) -> Option<Counters> {
        self.words.write_all(&[0]).ok()?;
        match self.word() {
            Ok(Some(Word::Counted(counters))) => Some(*counters),
            _ => None,
        }
    }

    /// Tells it to stop, waits until it has, and returns what it counted.
    pub fn stop(mut self) -> Counters {
        // It may be dead already, which is as good.
        let _ = self.words.shutdown(Shutdown::Write);
        let counters = match self.word() {
            Ok(Some(Word::Counted(counters))) => *counters,
            _ => Counters::default(),
        };
        self.reap();
        counters
    }

    /// How a worker ended whose descriptor became readable without having been told to stop.
    pub fn end(mut self) -> String {
        match self.reap() {
            Some(status) => status.to_string(),
            None => "unknown reason".to_owned(),
        }
    }

    fn until_ready(mut self) -> Result<Self, Fault> {
        match self.word() {
            Ok(Some(Word::Ready)) => Ok(self),
            Ok(Some(Word::Failed(words))) => {
                self.reap();
                Err(Fault::new(words))
            }
            Ok(_) => Err(Fault::new(format!(
                "the worker ended before it served: {}",
                self.end()
            ))),
            Err(error) => {
                let _ = self.process.kill();
                Err(Fault::new(format!(
                    "the worker does not say that it serves: {error}; {}",
                    self.end()
                )))
            }
        }
    }

    /// The next thing it says; nothing at the end of the stream.
    fn word(&self) -> Result<Option<Word>, String> {
        let mut line = String::new();
        // A worker that was taken over must not fill the monitor's memory, nor hold it up with an octet now and then.
        let words = Hasty::new(&self.words, PATIENCE).take(LONGEST_WORD);
        match BufReader::new(words).read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => line.trim_end().parse().map(Some),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err(format!("no answer in {} seconds", PATIENCE.as_secs()))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Waits for its end, for a moment, then brings it about: a worker that was taken over could close the stream and
    /// live on. No system call waits for a child with a limit on all systems.
    fn reap(&mut self) -> Option<ExitStatus> {
        for _ in 0..GRACE.as_millis() {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // It fails when the process is gone, which is what it is for.
        let _ = self.process.kill();
        self.process.wait().ok()
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.words.as_fd()
    }
}

/// Reads from a stream, but not after the deadline, however often something came before it.
struct Hasty<'a> {
    stream: &'a UnixStream,
    deadline: Option<Instant>,
}

impl<'a> Hasty<'a> {
    fn new(stream: &'a UnixStream, patience: Duration) -> Self {
        let deadline = Instant::now().checked_add(patience);
        Self { stream, deadline }
    }
}

/// With poll(2): XNU sets no timeout of a socket whose other end is closed (`sosetoptlock`, bsd/kern/uipc_socket.c, EINVAL), though
/// what that end has said is still to be read.
impl Read for Hasty<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self
            .deadline
            .and_then(|deadline| deadline.checked_duration_since(Instant::now()))
            .filter(|left| !left.is_zero())
            .ok_or(ErrorKind::WouldBlock)?;
        // Rounded up, or a rest below a millisecond would be none.
        let left = PollTimeout::try_from(left.saturating_add(Duration::from_millis(1)))
            .unwrap_or(PollTimeout::MAX);
        match poll(
            &mut [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)],
            left,
        )? {
            0 => Err(ErrorKind::WouldBlock.into()),
            _ => self.stream.read(buffer),
        }
    }
}

/// Copies of descriptors that survive exec, closed here once the worker has them.
#[derive(Default)]
struct Passed(Vec<OwnedFd>);

impl Passed {
    fn keep(&mut self, socket: &impl AsFd) -> Result<i32, Fault> {
        let copy = platform::keep(socket)?;
        let number = copy.as_raw_fd();
        self.0.push(copy);
        Ok(number)
    }
}

/// The file of a name without directory, which is all that OpenBSD tells of a program that was found through PATH.
fn in_search_path(name: &Path) -> Option<PathBuf> {
    if name.components().count() != 1 {
        return None;
    }
    let directories = std::env::var_os("PATH")?;
    let mut files = std::env::split_paths(&directories).map(|directory| directory.join(name));
    files.find(|file| file.is_file())?.canonicalize().ok()
}

fn command(program: &Program, order: &Order) -> Command {
    let mut command = Command::new(&program.0);
    command
        .args(order.to_arguments())
        .stdin(Stdio::null())
        .env_clear();
    match order.log {
        Target::Stderr => {
            let kept = KEPT_ENVIRONMENT.map(|name| Some((name, std::env::var_os(name)?)));
            command.envs(kept.into_iter().flatten());
        }
        // Whoever started the daemon may wait for the end of these.
        Target::Syslog(_) => {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
    }
    // One idle thread in place of one a core: the loops have threads of their own.
    command.env("ASYNC_STD_THREAD_COUNT", "1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_comes_octet_by_octet_has_one_deadline() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut hasty = Hasty::new(&ours, PATIENCE);
        theirs.write_all(b"re").unwrap();
        assert_eq!(hasty.read(&mut [0]).unwrap(), 1);
        hasty.deadline = Some(Instant::now());
        // Though there is something to read.
        let late = hasty.read(&mut [0]).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::WouldBlock);
        // And when there is not.
        let mut hasty = Hasty::new(&ours, Duration::from_millis(1));
        hasty.read_exact(&mut [0]).unwrap();
        let silent = hasty.read(&mut [0]).unwrap_err();
        assert_eq!(silent.kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn the_last_word_of_a_closed_stream_is_heard() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        theirs.write_all(b"counted").unwrap();
        drop(theirs);
        let mut word = String::new();
        let read = Hasty::new(&ours, PATIENCE).read_to_string(&mut word);
        assert_eq!((read.unwrap(), word.as_str()), (7, "counted"));
    }

    #[test]
    fn a_bare_name_is_looked_up_and_a_path_is_not() {
        let found = in_search_path(Path::new("sh")).unwrap();
        assert!(found.is_absolute() && found.is_file(), "{found:?}");
        for name in ["/bin/sh", "bin/sh", "no-such-program-anywhere"] {
            assert_eq!(in_search_path(Path::new(name)), None, "{name}");
        }
    }
}

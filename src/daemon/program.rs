//! This program, executed again: where it is, and one process of it as the monitor watches it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use platform::OsError;

use super::Fault;
use crate::logging::{self, LogLine};

/// How long a process may take to its end once it has nothing more to say.
const EXIT_TIMEOUT: Duration = Duration::from_millis(500);

/// Log lines that are taken of a process in one second. More than the program writes; one that was taken over may write more.
const LINES_A_SECOND: u32 = 100;

/// The file of this program, which is executed again.
#[derive(Debug)]
pub struct Program(PathBuf);

impl Program {
    /// Finds the file. Call it at start, before the file can be replaced and the working directory changes.
    ///
    /// # Errors
    /// When neither the system nor the first argument tells where the file is.
    pub fn current() -> Result<Self, Fault> {
        std::env::current_exe()
            .map(|path| in_search_path(&path).unwrap_or(path))
            .or_else(|error| {
                let name = std::env::args_os().next();
                name.and_then(|name| named(Path::new(&name))).ok_or(error)
            })
            .map(Self)
            .map_err(|error| {
                Fault::new(format!(
                    "cannot find the file of this program: {error}; start it by its path"
                ))
            })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// To execute it.
    pub fn command(&self) -> Command {
        Command::new(&self.0)
    }

    /// To execute it with nothing of the caller's but RUST_BACKTRACE. What goes to its standard error, where it cannot speak yet
    /// or the C library has the last word, goes to `stream`, and so reaches the monitor all the same.
    pub fn alone(&self, stream: UnixStream) -> Command {
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(OwnedFd::from(stream))
            .env_clear()
            // The loops have threads of their own. async-std's are idle: one is enough.
            .env("ASYNC_STD_THREAD_COUNT", "1");
        if let Some(wanted) = std::env::var_os("RUST_BACKTRACE") {
            command.env("RUST_BACKTRACE", wanted);
        }
        command
    }
}

/// Copies of descriptors that stay open over exec. The monitor closes them when the other process has them.
#[derive(Default)]
pub struct Kept(Vec<OwnedFd>);

impl Kept {
    /// Adds one; returns its number.
    ///
    /// # Errors
    /// Of fcntl(2).
    pub fn keep(&mut self, socket: &impl AsFd) -> Result<RawFd, Fault> {
        let copy = platform::keep(socket)?;
        let number = copy.as_raw_fd();
        self.0.push(copy);
        Ok(number)
    }
}

/// A process that is told to end, or killed, when its time is up. Nothing here waits for it: no system call waits for a child
/// with a limit on all systems, and SIGCHLD says when to look.
#[derive(Debug)]
pub struct Watched {
    process: Child,
    /// Whether its end of the stream may have something to say.
    speaks: bool,
    deadline: Option<Instant>,
    /// Whether it has ended with status 0.
    succeeded: bool,
    /// Lines in the second that began then.
    lines: (u32, Option<Instant>),
}

impl Watched {
    /// Executes a command, which has `time` until [`Watched::may_stay`].
    ///
    /// # Errors
    /// Of the system.
    pub fn start(command: &mut Command, time: Duration) -> Result<Self, Fault> {
        let process = command.spawn().map_err(|error| {
            let object = Path::new(command.get_program()).display();
            OsError::new("execute", object, error)
        })?;
        Ok(Self {
            process,
            speaks: true,
            deadline: Instant::now().checked_add(time),
            succeeded: false,
            lines: (0, None),
        })
    }

    /// Its process ID.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// It has this long, from now on, until [`Watched::may_stay`].
    pub fn give(&mut self, time: Duration) {
        self.deadline = Instant::now().checked_add(time);
    }

    /// It has done in time what it had to.
    pub fn may_stay(&mut self) {
        self.deadline = None;
    }

    /// It has this long to end.
    pub fn expect_end(&mut self, time: Duration) {
        let end = Instant::now().checked_add(time);
        self.deadline = self.deadline.min(end).or(end);
    }

    /// Nothing more comes from it: it is about to end.
    pub fn has_said_all(&mut self) {
        self.speaks = false;
        self.expect_end(EXIT_TIMEOUT);
    }

    /// Whether something may come from it.
    pub fn speaks(&self) -> bool {
        self.speaks
    }

    /// When it is to be looked at.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether its time is up.
    pub fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        // It fails when the process is gone, which is as good.
        let _ = self.process.kill();
        self.expect_end(EXIT_TIMEOUT);
    }

    /// How it ended, if it has and has nothing more to say. Kills it when its time is up.
    pub fn ended(&mut self, now: Instant) -> Option<String> {
        if self.is_late(now) {
            let _ = self.process.kill();
            self.speaks = false;
            self.deadline = now.checked_add(EXIT_TIMEOUT);
        }
        if self.speaks {
            return None;
        }
        match self.process.try_wait() {
            Ok(status) => {
                self.succeeded = status.is_some_and(|status| status.success());
                status.map(|status| status.to_string())
            }
            Err(_) => Some("unknown reason".to_owned()),
        }
    }

    /// Whether it has ended, with status 0.
    pub fn succeeded(&self) -> bool {
        self.succeeded
    }

    /// Logs a line of it. What is more than it can have to say is lost.
    pub fn relay(&mut self, line: &LogLine, now: Instant) {
        let (lines, since) = &mut self.lines;
        if since.is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1))
        {
            (*lines, *since) = (0, Some(now));
        }
        *lines = lines.saturating_add(1);
        if *lines <= LINES_A_SECOND {
            logging::relay(line);
        }
    }
}

/// The file that the first argument names, by which shells and service managers start a program. Linux tells more in /proc alone,
/// which chroots and small containers do without.
fn named(name: &Path) -> Option<PathBuf> {
    in_search_path(name).or_else(|| {
        let is_path = name.components().count() > 1 && name.is_file();
        is_path.then(|| name.canonicalize().ok())?
    })
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

    #[test]
    fn an_argument_names_a_file_by_path_or_by_search() {
        let found = named(Path::new("sh")).unwrap();
        assert_eq!(named(Path::new("/bin/sh")), Some(found));
        // A file of the working directory that has the name is another.
        for name in ["Cargo.toml", "no/such/program", "/", "./src", ""] {
            assert_eq!(named(Path::new(name)), None, "{name}");
        }
        let relative = named(Path::new("./Cargo.toml")).unwrap();
        assert!(relative.is_absolute(), "{relative:?}");
    }
}

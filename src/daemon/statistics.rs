//! The socket at which the monitor tells what the server does: to whoever connects, one message, and the end of the stream.
//!
//! The monitor reads nothing here and waits for nobody: a client that does not read is dropped, and of many the first few are
//! served.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::warn;
use nix::poll::PollFlags;
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use platform::OsError;
use socket2::{Domain, SockAddr, Socket, Type};

use super::Fault;
use super::accepting::Accepting;
use super::channel::Channel;
use super::file_id::FileId;
use super::plan::Plan;
use super::status::{Nothing, Status};
use crate::cli::Options;
use crate::conf::StatisticsSocket;

/// Clients at a time. Others wait in the queue of listen(2).
const CLIENTS: usize = 8;

/// How long a client waits for what the worker has counted. Then it is told what the worker published last.
const COUNTING: Duration = Duration::from_millis(500);

/// How long a client may take to read.
const READING: Duration = Duration::from_secs(5);

/// All but reading and writing by owner and group. Linux and the BSDs let connect(2) whoever may write.
const NOT_OTHERS: Mode = Mode::from_bits_truncate(0o117);

/// What helps where there can be no socket.
const REMEDY: &str = "name another path with StatisticsSocket, or off";

/// A listening socket, and its clients. Its file is removed when it is dropped.
#[derive(Debug)]
pub struct Statistics {
    listener: UnixListener,
    path: PathBuf,
    file: Option<FileId>,
    clients: Vec<Client>,
    accepting: Accepting,
}

#[derive(Debug)]
struct Client {
    channel: Channel<Nothing, Status>,
    answered: bool,
    /// When it is answered at the latest, then when it is dropped.
    deadline: Option<Instant>,
}

impl Statistics {
    /// Opens the socket of a plan, if it has one.
    ///
    /// # Errors
    /// Those of [`Statistics::open`], where the configuration names the path. Else they are logged, and the server does without.
    pub fn of_plan(options: &Options, plan: &Plan) -> Result<Option<Self>, Fault> {
        let configured = &plan.service.statistics;
        let Some(path) = configured.path(options.pid_file()) else {
            return Ok(None);
        };
        match Self::open(&path) {
            Ok(statistics) => Ok(Some(statistics)),
            Err(error) if *configured == StatisticsSocket::BesidePidFile => {
                warn!("no statistics: {error}");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The socket of another plan; absent where that of `current` stays. Where somebody has removed the file of `current`, or put
    /// another in its place, it is made again if it can be.
    ///
    /// # Errors
    /// Those of [`Statistics::of_plan`], where the path changes.
    pub fn adapt(
        current: Option<&Self>,
        options: &Options,
        plan: &Plan,
    ) -> Result<Option<Option<Self>>, Fault> {
        let wanted = plan.service.statistics.path(options.pid_file());
        match current {
            Some(current) if Some(current.path()) == wanted.as_deref() => {
                match current.is_there() {
                    true => Ok(None),
                    false => Ok(Self::open(current.path())
                        .inspect_err(|error| warn!("no statistics: {error}"))
                        .ok()
                        .map(Some)),
                }
            }
            None if wanted.is_none() => Ok(None),
            _ => Self::of_plan(options, plan).map(Some),
        }
    }

    /// Listens at a path, in place of a server that is gone.
    ///
    /// # Errors
    /// Those of the system; that another process listens there, or that something else is there; on OpenBSD always after
    /// [`platform::restrict_monitor`].
    pub fn open(path: &Path) -> Result<Self, OsError> {
        let failed = |call| move |error| OsError::new(call, path.display(), error).remedy(REMEDY);
        platform::may_create(path)?;
        remove_stale(path)?;
        // Between bind(2) and a chmod(2), others could connect. No other thread makes files.
        let mask = umask(NOT_OTHERS);
        let bound = UnixListener::bind(path);
        umask(mask);
        let listener = bound.map_err(failed("bind"))?;
        Self::with(listener, path).map_err(failed("ioctl"))
    }

    fn with(listener: UnixListener, path: &Path) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            file: FileId::of_name(path),
            clients: Vec::new(),
            accepting: Accepting::default(),
        })
    }

    /// Whether its file is still where it was.
    fn is_there(&self) -> bool {
        self.file.is_some() && FileId::of_name(&self.path) == self.file
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes new clients in; says whether there is one.
    pub fn accept(&mut self, now: Instant) -> bool {
        let before = self.clients.len();
        self.accepting.tend(now);
        while self.listens() {
            let log = |error| warn!("accept {}: {error}", self.path.display());
            let accept = || self.listener.accept();
            let Some((stream, _)) = self.accepting.next(now, accept, log) else {
                break;
            };
            // A client that cannot be had without waiting is none.
            let channel = Channel::new(stream).ok();
            self.clients.extend(channel.map(|channel| Client {
                channel,
                answered: false,
                deadline: now.checked_add(COUNTING),
            }));
        }
        self.clients.len() > before
    }

    /// Whether a client waits for its answer.
    pub fn is_asked(&self) -> bool {
        self.clients.iter().any(|client| !client.answered)
    }

    /// Whether a client has waited long enough for what the worker has counted.
    pub fn is_late(&self, now: Instant) -> bool {
        let mut waiting = self.clients.iter().filter(|client| !client.answered);
        waiting.any(|client| client.deadline.is_none_or(|deadline| deadline <= now))
    }

    /// Answers all who wait.
    pub fn answer(&mut self, status: &Status, now: Instant) {
        for client in self.clients.iter_mut().filter(|client| !client.answered) {
            // What fails here fails again when the rest is written.
            let _ = client.channel.queue(status);
            client.answered = true;
            client.deadline = now.checked_add(READING);
        }
    }

    /// Goes on with answers, and drops who has all, is gone, or does not read.
    pub fn tend(&mut self, now: Instant) {
        self.clients.retain(|client| {
            let in_time = client.deadline.is_some_and(|deadline| deadline > now);
            let flushed = client.channel.flush();
            !client.answered || in_time && flushed.is_ok() && writes(client)
        });
    }

    /// Descriptors, and what to wait for there.
    pub fn awaited(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let listener = (self.listens()).then_some((self.listener.as_fd(), PollFlags::POLLIN));
        let clients = self.clients.iter().filter(|client| writes(client));
        let clients = clients.map(|client| (client.channel.as_fd(), PollFlags::POLLOUT));
        listener.into_iter().chain(clients)
    }

    /// When it has to be looked at, whatever happens there.
    pub fn deadline(&self) -> Option<Instant> {
        let clients = self.clients.iter().map(|client| client.deadline);
        clients.chain([self.accepting.deadline()]).flatten().min()
    }

    fn listens(&self) -> bool {
        !self.accepting.rests() && self.clients.len() < CLIENTS
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        // Somebody may have put something else in its place.
        if self.is_there() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether some of its answer is not written yet.
fn writes(client: &Client) -> bool {
    client.channel.interest().contains(PollFlags::POLLOUT)
}

/// Removes a socket that a server of this user left behind.
fn remove_stale(path: &Path) -> Result<(), OsError> {
    let refused =
        |why: &'static str| Err(OsError::refused("bind", path.display(), why).remedy(REMEDY));
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OsError::new("lstat", path.display(), error)),
    };
    if !file.file_type().is_socket() {
        return refused("a file that is no socket is there");
    }
    if file.uid() != geteuid().as_raw() {
        return refused("a socket of another user is there");
    }
    match connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| OsError::new("unlink", path.display(), error).remedy(REMEDY)),
        Ok(_) => refused("another process listens there"),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            refused("another process listens there")
        }
        Err(error) => Err(OsError::new("connect", path.display(), error).remedy(REMEDY)),
    }
}

/// Connects to such a socket, without waiting for room in the queue of listen(2).
///
/// # Errors
/// Of socket(2) and connect(2); `WouldBlock` where there is no room.
pub fn connect(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;

//! Clients of the exporter: a few at a time, each with one request, and little time for all of it. The others wait in the queue
//! of listen(2).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use log::warn;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;
use platform::Work;

use super::request::{MAX_LEN, Page, answer};
use crate::daemon::accepting::Accepting;

/// How long a client may take in all.
const TIME: Duration = Duration::from_secs(5);

/// Most octets that are read of a client and thrown away.
const WASTE: usize = 1 << 16;

/// A listening socket, and its clients.
#[derive(Debug)]
pub struct Connections {
    listener: TcpListener,
    clients: Vec<Client>,
    accepting: Accepting,
}

#[derive(Debug)]
struct Client {
    stream: TcpStream,
    /// When it is dropped.
    deadline: Option<Instant>,
    step: Step,
}

/// How far it is.
#[derive(Debug)]
enum Step {
    /// Its request, as far as it came.
    Reads(Vec<u8>),
    /// What is left of the answer.
    Writes(Vec<u8>),
    /// It has its answer. What still comes is read up to this many octets: were the connection closed with something unread,
    /// the client might lose the answer (RFC 9112 section 9.6).
    Ends(usize),
}

impl Connections {
    /// Nobody yet. The socket is non-blocking.
    pub fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            clients: Vec::new(),
            accepting: Accepting::default(),
        }
    }

    /// Takes new clients in, goes on with all, and drops who has all, is gone, or takes too long.
    pub fn tend(&mut self, now: Instant, page: Page<'_>) {
        self.accept(now);
        self.clients.retain_mut(|client| {
            let in_time = client.deadline.is_some_and(|deadline| deadline > now);
            in_time
                && matches!(client.go_on(page), Err(error) if error.kind() == ErrorKind::WouldBlock)
        });
    }

    fn accept(&mut self, now: Instant) {
        self.accepting.tend(now);
        while self.listens() {
            let accept = || non_blocking(self.listener.accept()?.0);
            let log = |error| warn!("metrics: accept: {error} (trying again every second)");
            let Some(stream) = self.accepting.next(now, accept, log) else {
                break;
            };
            self.clients.push(Client {
                stream,
                deadline: now.checked_add(TIME),
                step: Step::Reads(Vec::new()),
            });
        }
    }

    /// Descriptors, and what to wait for there.
    pub fn awaited(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let listener = (self.listens()).then_some((self.listener.as_fd(), PollFlags::POLLIN));
        let clients = self.clients.iter().map(|client| {
            let flags = match client.step {
                Step::Writes(_) => PollFlags::POLLOUT,
                Step::Reads(_) | Step::Ends(_) => PollFlags::POLLIN,
            };
            (client.stream.as_fd(), flags)
        });
        listener.into_iter().chain(clients)
    }

    /// When to look at them, whatever happens there.
    pub fn deadline(&self) -> Option<Instant> {
        let clients = self.clients.iter().map(|client| client.deadline);
        clients.chain([self.accepting.deadline()]).flatten().min()
    }

    fn listens(&self) -> bool {
        !self.accepting.rests() && self.clients.len() < Work::CONNECTIONS
    }
}

impl Client {
    /// Does what can be done without waiting.
    ///
    /// # Errors
    /// `WouldBlock`, or why nothing more can come of it.
    fn go_on(&mut self, page: Page<'_>) -> io::Result<()> {
        loop {
            match &mut self.step {
                Step::Reads(request) => {
                    let read = read(&mut self.stream, request)?;
                    if read == 0 {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    if let Some(answer) = answer(request, page) {
                        self.step = Step::Writes(answer);
                    }
                }
                Step::Writes(answer) => {
                    let written = self.stream.write(answer)?;
                    answer.drain(..written.min(answer.len()));
                    if answer.is_empty() {
                        self.stream.shutdown(Shutdown::Write)?;
                        self.step = Step::Ends(WASTE);
                    }
                }
                Step::Ends(left) => {
                    let read = read(&mut self.stream, &mut Vec::new())?;
                    *left = left.saturating_sub(read);
                    if read == 0 || *left == 0 {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Adds what a client sent to what was read before, up to the longest request.
fn read(stream: &mut TcpStream, before: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; MAX_LEN];
    let room = MAX_LEN.saturating_sub(before.len());
    let read = stream.read(buffer.get_mut(..room).unwrap_or_default())?;
    before.extend_from_slice(buffer.get(..read).unwrap_or_default());
    Ok(read)
}

/// Not by ioctl(2), which no filter of ours allows.
fn non_blocking(stream: TcpStream) -> io::Result<TcpStream> {
    fcntl(&stream, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(stream)
}

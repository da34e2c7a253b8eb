//! Messages between two processes over a stream socket.
//!
//! A message is a line of JSON. The line feed ends it, and JSON has no other, so a message that was cut short is never taken
//! for a whole one. A message leaves in one write(2), where there is room for it, with no other thread's inside, and is
//! decoded as a whole: two that run into each other are no message.
//!
//! A message may hold secrets: every buffer that it passes through is overwritten afterwards.
//!
//! The other end may be a process that was taken over. What it sends is bounded in length, and every wait in time.

use std::io::{self, ErrorKind, Read, Write};
use std::marker::PhantomData;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::poll::poll_until;
use super::wiped::Wiped;

/// What may go through a [`Channel`].
pub trait Message: Serialize + DeserializeOwned {
    /// Most bytes of one as JSON, without the line feed. A longer one is neither sent nor read to its end.
    const MAX_LEN: usize;
}

/// One end of a stream, which receives `In` and sends `Out`. Its descriptor is readable when [`Channel::try_receive`] may find
/// something.
#[derive(Debug)]
pub struct Channel<In, Out> {
    sender: Sender<Out>,
    /// What was read of messages that were not returned yet; at most one message and its line feed.
    received: Wiped,
    /// So many of these bytes were searched for a line feed, and have none: a long message is not searched again for each part.
    searched: usize,
    direction: PhantomData<fn() -> In>,
}

/// The sending half of a [`Channel`], for threads that share it.
#[derive(Debug)]
pub struct Sender<Out> {
    end: Arc<End>,
    direction: PhantomData<fn(Out)>,
}

#[derive(Debug)]
struct End {
    stream: UnixStream,
    /// The end of messages that had no room in the stream; locked while one is written, never while a thread waits for room.
    unsent: Mutex<Wiped>,
}

impl<In: Message, Out: Message> Channel<In, Out> {
    /// Takes over one end of a stream, and makes it non-blocking.
    ///
    /// # Errors
    /// Of ioctl(2).
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let end = End {
            stream,
            unsent: Mutex::default(),
        };
        Ok(Self {
            sender: Sender {
                end: Arc::new(end),
                direction: PhantomData,
            },
            received: Wiped::default(),
            searched: 0,
            direction: PhantomData,
        })
    }

    /// The sending half, for other threads.
    #[must_use]
    pub fn sender(&self) -> Sender<Out> {
        self.sender.clone()
    }

    /// As [`Sender::send`].
    ///
    /// # Errors
    /// The same.
    pub fn send(&self, message: &Out, timeout: Duration) -> io::Result<()> {
        self.sender.send(message, timeout)
    }

    /// As [`Sender::queue`].
    ///
    /// # Errors
    /// The same.
    pub fn queue(&self, message: &Out) -> io::Result<()> {
        self.sender.queue(message)
    }

    /// What to wait for: [`Channel::try_receive`] may find something, and [`Channel::flush`] may get on.
    #[must_use]
    pub fn interest(&self) -> PollFlags {
        match self.sender.end.unsent().is_empty() {
            true => PollFlags::POLLIN,
            false => PollFlags::POLLIN | PollFlags::POLLOUT,
        }
    }

    /// Writes of what is queued as much as there is room for, without waiting.
    ///
    /// # Errors
    /// Those of write(2) but `WouldBlock`.
    pub fn flush(&self) -> io::Result<()> {
        let end = &self.sender.end;
        end.write_some(&mut end.unsent()).map(drop)
    }

    /// Tells the other end that nothing more comes. What it sends can still be received.
    pub fn finish(&self) {
        // It fails when the other end is gone, which then needs no telling.
        let _ = self.stream().shutdown(Shutdown::Write);
    }

    /// Waits for the next message, but not longer than `timeout`, however often a part of it came; without one, for ever.
    /// Returns `None` at the end of the stream.
    ///
    /// # Errors
    /// `TimedOut`, and those of [`Channel::try_receive`] but `WouldBlock`.
    pub fn receive(&mut self, timeout: Option<Duration>) -> io::Result<Option<In>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            match self.try_receive() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.sender.end.wait(PollFlags::POLLIN, deadline)?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Returns the next message without waiting, or `None` at the end of the stream.
    ///
    /// # Errors
    /// - `WouldBlock`: no whole message is there yet.
    /// - `InvalidData`: not a message of this type, or one of more than [`Message::MAX_LEN`] bytes.
    /// - `UnexpectedEof`: the stream ends within a message.
    /// - Those of read(2).
    pub fn try_receive(&mut self) -> io::Result<Option<In>> {
        let mut buffer = Zeroizing::new([0; 4096]);
        loop {
            if let Some(message) = self.next_received()? {
                return Ok(Some(message));
            }
            let room = In::MAX_LEN
                .saturating_add(1)
                .saturating_sub(self.received.len());
            let room = buffer.len().min(room);
            if room == 0 {
                let message = format!("a message of more than {} bytes", In::MAX_LEN);
                return Err(io::Error::new(ErrorKind::InvalidData, message));
            }
            let read = self
                .stream()
                .read(buffer.get_mut(..room).unwrap_or_default());
            match read {
                Ok(0) => return self.end_of_stream(),
                Ok(len) => self
                    .received
                    .extend_from_slice(buffer.get(..len).unwrap_or_default()),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    // Linux says so once, where the other end was closed with something in it unread.
                    ErrorKind::ConnectionReset => return self.end_of_stream(),
                    _ => return Err(error),
                },
            }
        }
    }

    /// Decodes the first line of what was read, and leaves what follows.
    fn next_received(&mut self) -> io::Result<Option<In>> {
        let unsearched = self.received.get(self.searched..).unwrap_or_default();
        let Some(end) = unsearched.iter().position(|&byte| byte == b'\n') else {
            self.searched = self.received.len();
            return Ok(None);
        };
        let end = std::mem::take(&mut self.searched).saturating_add(end);
        let line = self.received.take(end.saturating_add(1));
        serde_json::from_slice(&line)
            .map(Some)
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    }

    fn end_of_stream(&self) -> io::Result<Option<In>> {
        match self.received.is_empty() {
            true => Ok(None),
            false => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the stream ends within a message",
            )),
        }
    }

    fn stream(&self) -> &UnixStream {
        &self.sender.end.stream
    }
}

impl<Out: Message> Sender<Out> {
    /// Sends a message, and waits for room up to `timeout`.
    ///
    /// # Errors
    /// - `InvalidInput`: the message has more than [`Message::MAX_LEN`] bytes. Nothing was sent.
    /// - `TimedOut`, and those of write(2). The message then leaves with a later one, or with [`Channel::flush`].
    pub fn send(&self, message: &Out, timeout: Duration) -> io::Result<()> {
        let line = line(message)?;
        let deadline = Instant::now().checked_add(timeout);
        self.end.unsent().extend_from_slice(&line);
        while !self.end.write_some(&mut self.end.unsent())? {
            self.end.wait(PollFlags::POLLOUT, deadline)?;
        }
        Ok(())
    }

    /// Has a message sent as soon as there is room: now, or by [`Channel::flush`]. Does not wait.
    ///
    /// # Errors
    /// - `InvalidInput`: the message has more than [`Message::MAX_LEN`] bytes. Nothing is sent.
    /// - Those of write(2) but `WouldBlock`.
    pub fn queue(&self, message: &Out) -> io::Result<()> {
        let line = line(message)?;
        let mut unsent = self.end.unsent();
        unsent.extend_from_slice(&line);
        self.end.write_some(&mut unsent).map(drop)
    }

    /// Sends a message if that can be begun at once, and says whether it was. It does not wait for room, nor for a thread that
    /// does. What has no room yet of the message leaves with the next one.
    #[must_use]
    pub fn offer(&self, message: &Out) -> bool {
        let Ok(line) = line(message) else {
            return false;
        };
        let mut unsent = self.end.unsent();
        if !matches!(self.end.write_some(&mut unsent), Ok(true)) {
            return false;
        }
        match (&self.end.stream).write(&line) {
            Ok(len) => {
                unsent.extend_from_slice(line.get(len..).unwrap_or_default());
                true
            }
            Err(_) => false,
        }
    }
}

/// A message as it goes through the stream.
fn line<M: Message>(message: &M) -> io::Result<Wiped> {
    let mut line = Wiped::default();
    serde_json::to_writer(&mut line, message)?;
    if line.len() > M::MAX_LEN {
        let message = format!("a message of more than {} bytes", M::MAX_LEN);
        return Err(io::Error::new(ErrorKind::InvalidInput, message));
    }
    line.extend_from_slice(b"\n");
    Ok(line)
}

impl<Out> Clone for Sender<Out> {
    fn clone(&self) -> Self {
        Self {
            end: Arc::clone(&self.end),
            direction: PhantomData,
        }
    }
}

impl End {
    fn unsent(&self) -> MutexGuard<'_, Wiped> {
        // Nothing can panic while it is held.
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes of `unsent` as much as there is room for, and leaves the rest in it. Says whether that was all.
    fn write_some(&self, unsent: &mut Wiped) -> io::Result<bool> {
        while !unsent.is_empty() {
            match (&self.stream).write(unsent) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => drop(unsent.take(len)),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => return Ok(false),
                    _ => return Err(error),
                },
            }
        }
        Ok(true)
    }

    /// Waits with poll(2): XNU sets no timeout of a socket whose other end is closed (`sosetoptlock`,
    /// bsd/kern/uipc_socket.c, EINVAL), though what that end has said is still to be read.
    fn wait(&self, flags: PollFlags, deadline: Option<Instant>) -> io::Result<()> {
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(ErrorKind::TimedOut.into());
        }
        match poll_until(&mut [PollFd::new(self.stream.as_fd(), flags)], deadline) {
            Ok(0) => Err(ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl<In, Out> AsFd for Channel<In, Out> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sender.end.stream.as_fd()
    }
}

#[cfg(test)]
mod tests;

//! Messages between two processes over a stream socket.
//!
//! A message is a line of JSON. The line feed ends it, and JSON has no other, so a message that was cut short is never taken
//! for a whole one. A message leaves in one write(2) with no other thread's inside, and is decoded as a whole: two that run
//! into each other are no message.
//!
//! The other end may be a process that was taken over. What it sends is bounded in length, and every wait in time.

use std::io::{self, ErrorKind, Read, Write};
use std::marker::PhantomData;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::poll::poll_until;

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
    received: Vec<u8>,
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
    /// Held while a message is written.
    writing: Mutex<()>,
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
            writing: Mutex::new(()),
        };
        Ok(Self {
            sender: Sender {
                end: Arc::new(end),
                direction: PhantomData,
            },
            received: Vec::new(),
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
        let mut buffer = [0; 4096];
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
        let Some(end) = self.received.iter().position(|&byte| byte == b'\n') else {
            return Ok(None);
        };
        let rest = self.received.split_off(end.saturating_add(1));
        let line = std::mem::replace(&mut self.received, rest);
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
    /// - `TimedOut`, and those of write(2). Half of the message may have left: the stream is of no more use.
    pub fn send(&self, message: &Out, timeout: Duration) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        if line.len() > Out::MAX_LEN {
            let message = format!("a message of more than {} bytes", Out::MAX_LEN);
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        line.push(b'\n');
        self.end.write(&line, Instant::now().checked_add(timeout))
    }
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
    fn write(&self, mut line: &[u8], deadline: Option<Instant>) -> io::Result<()> {
        // Nothing can panic while it is held.
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        while !line.is_empty() {
            match (&self.stream).write(line) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => line = line.get(len..).unwrap_or_default(),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => self.wait(PollFlags::POLLOUT, deadline)?,
                    _ => return Err(error),
                },
            }
        }
        Ok(())
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
mod tests {
    use super::*;
    use serde::Deserialize;

    const SHORT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(10);

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Ready,
        Failed(String),
    }

    impl Message for Word {
        const MAX_LEN: usize = 64;
    }

    type End = Channel<Word, Word>;

    fn pair() -> (End, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Channel::new(ours).unwrap(), theirs)
    }

    /// What is made of these bytes and the end of the stream after them.
    fn received(bytes: &[u8]) -> io::Result<Option<Word>> {
        let (mut channel, mut stream) = pair();
        stream.write_all(bytes).unwrap();
        drop(stream);
        channel.receive(Some(LONG))
    }

    fn refused(bytes: &[u8]) -> ErrorKind {
        received(bytes).unwrap_err().kind()
    }

    #[test]
    fn messages_arrive_one_by_one() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut ours, theirs) = (End::new(ours).unwrap(), End::new(theirs).unwrap());
        let blocked = ours.try_receive().unwrap_err();
        assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
        // A line feed in a text is no end of a message.
        let failed = Word::Failed("two\nlines".to_owned());
        theirs.send(&Word::Ready, LONG).unwrap();
        theirs.sender().send(&failed, LONG).unwrap();
        drop(theirs);
        assert_eq!(ours.try_receive().unwrap(), Some(Word::Ready));
        assert_eq!(ours.try_receive().unwrap(), Some(failed));
        assert_eq!(ours.try_receive().unwrap(), None);
    }

    #[test]
    fn what_was_sent_before_the_end_is_received() {
        let (mut channel, mut stream) = pair();
        channel.finish();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        stream.write_all(b"\"ready\"\n").unwrap();
        drop(stream);
        assert_eq!(channel.receive(Some(LONG)).unwrap(), Some(Word::Ready));
        assert_eq!(channel.receive(Some(LONG)).unwrap(), None);
    }

    #[test]
    fn a_message_that_was_cut_short_is_none() {
        let whole = b"\"ready\"\n";
        assert_eq!(received(whole).unwrap(), Some(Word::Ready));
        for len in 1..whole.len() {
            assert_eq!(refused(&whole[..len]), ErrorKind::UnexpectedEof, "{len}");
        }
    }

    #[test]
    fn messages_that_run_into_each_other_are_none() {
        for bytes in [
            &b"\"ready\"{\"failed\":\"the worker panicked\"}\n\n"[..],
            b"\"rea{\"failed\":\"\"}\ndy\"\n",
            b"\"ready\"\"ready\"\n",
            b"readyfailed the worker panicked\n",
        ] {
            assert_eq!(refused(bytes), ErrorKind::InvalidData, "{bytes:?}");
        }
    }

    #[test]
    fn length_is_bounded_both_ways() {
        let (mut channel, mut stream) = pair();
        let long = Word::Failed("x".repeat(Word::MAX_LEN));
        let error = channel.send(&long, LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        stream.write_all(&[b' '; Word::MAX_LEN]).unwrap();
        let error = channel.try_receive().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        stream.write_all(b"  ").unwrap();
        let error = channel.try_receive().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert_eq!(channel.received.len(), Word::MAX_LEN + 1);
    }

    #[test]
    fn a_message_that_comes_byte_by_byte_has_one_deadline() {
        let (mut channel, mut stream) = pair();
        stream.write_all(b"\"re").unwrap();
        let late = channel.receive(Some(SHORT)).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        stream.write_all(b"a").unwrap();
        let late = channel.receive(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        // Nothing was lost meanwhile.
        stream.write_all(b"dy\"\n").unwrap();
        assert_eq!(channel.receive(Some(SHORT)).unwrap(), Some(Word::Ready));
    }

    #[test]
    fn a_full_stream_is_waited_for_and_not_for_ever() {
        let (channel, mut stream) = pair();
        let word = Word::Failed("x".repeat(40));
        let error = loop {
            if let Err(error) = channel.send(&word, SHORT) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let reader = std::thread::spawn(move || io::copy(&mut stream, &mut io::sink()));
        channel.send(&word, LONG).unwrap();
        channel.finish();
        reader.join().unwrap().unwrap();
    }
}

//! The pair of UDP sockets at work. How datagrams cross into the kernel is a [`Mover`]'s business.

use std::io;
use std::iter;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use async_io::Async;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use crate::contract::{BATCH, Inbox, Outbox, Outgoing, Progress, SendReport, UdpPair, Via};
use crate::error::OsError;
use crate::process::rights::Rights;

#[cfg(any(target_os = "linux", target_os = "netbsd", target_os = "openbsd"))]
mod mmsg;
pub(crate) mod open;
mod plain;
#[cfg(any(test, not(target_os = "linux")))]
pub(crate) mod receive_buffer;
mod settle;

#[cfg(any(target_os = "linux", target_os = "netbsd", target_os = "openbsd"))]
pub use mmsg::Mmsg;
use open::local_address;
pub use open::{Endpoint, PairSockets, UdpSystem};
pub use plain::Plain;

/// Milliseconds that a thread waits in poll(2) before it leaves that to the reactor. Nothing else wakes it meanwhile.
const POLL_MILLISECONDS: u8 = 20;

/// How datagrams cross between one socket and the buffers: one by one ([`Plain`]), or many a call.
pub trait Mover: Default {
    /// Receives until the socket is empty or `inbox` is full; says how many. Errors that peers or the network can
    /// cause are not errors here.
    ///
    /// # Errors
    /// Only what makes the socket useless.
    fn receive(&mut self, socket: BorrowedFd<'_>, via: Via, inbox: &mut Inbox)
    -> io::Result<usize>;

    /// Sends at most [`BATCH`] datagrams from `socket`, whichever address they name, adding what became of them to `report`.
    /// Those for which there is no room are tried again `retries` times in all.
    fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = Outgoing<'a>>,
        retries: usize,
        report: &mut SendReport,
    );
}

/// A pair of sockets at work. Use it as [`crate::Udp`].
pub struct SocketPair<S: UdpSystem, M = <S as UdpSystem>::Mover> {
    primary: End,
    secondary: Option<End>,
    // Takes turns, so that a flood at one address cannot starve the other.
    first: Via,
    mover: M,
    system: PhantomData<S>,
}

struct End {
    socket: Async<OwnedFd>,
    // Cleared when the socket was read empty, set when the reactor says otherwise: saves the call that would block.
    readable: bool,
}

impl<S: UdpSystem, M: Mover> SocketPair<S, M> {
    /// Puts the sockets to work. Registers them with the reactor of async-io, whose first use in a process starts its
    /// thread: call this only after confinement, which wants no threads.
    ///
    /// # Errors
    /// Of the reactor.
    pub fn new(sockets: PairSockets) -> Result<Self, OsError> {
        Ok(Self {
            primary: End::new::<S>(sockets.primary)?,
            secondary: sockets.secondary.map(End::new::<S>).transpose()?,
            first: Via::Primary,
            mover: M::default(),
            system: PhantomData,
        })
    }

    fn ends(&mut self) -> impl Iterator<Item = &mut End> {
        iter::once(&mut self.primary).chain(&mut self.secondary)
    }

    /// Waits in poll(2) for a bounded time. A server that is asked often waits nowhere else: the reactor takes four calls
    /// where this takes one, and wakes a thread through another.
    fn poll_briefly(&mut self) -> io::Result<()> {
        let primary = self.primary.socket.as_fd();
        let secondary = self.secondary.as_ref();
        // In one-address mode the primary twice, which does no harm.
        let sockets = [primary, secondary.map_or(primary, |end| end.socket.as_fd())];
        let mut entries = sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN));
        match poll(&mut entries, POLL_MILLISECONDS) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(OsError::new("poll", name(&primary), error).into()),
        }
        let readable = entries.map(|entry| entry.any().unwrap_or(true));
        for (end, readable) in self.ends().zip(readable) {
            end.readable = readable;
        }
        Ok(())
    }

    fn receive_at(&mut self, via: Via, inbox: &mut Inbox) -> io::Result<()> {
        let end = match via {
            Via::Primary => &mut self.primary,
            Via::Secondary => match &mut self.secondary {
                Some(end) => end,
                None => return Ok(()),
            },
        };
        let room = BATCH.saturating_sub(inbox.len());
        if !end.readable || room == 0 {
            return Ok(());
        }
        let socket = end.socket.as_fd();
        let moved = self
            .mover
            .receive(socket, via, inbox)
            .map_err(|error| OsError::new("receive", name(&socket), error))?;
        end.readable = moved == room;
        Ok(())
    }
}

impl End {
    fn new<S: Rights>(socket: OwnedFd) -> Result<Self, OsError> {
        let object = name(&socket);
        S::limit(&socket)?;
        let socket = Async::new_nonblocking(socket)
            .map_err(|error| OsError::new("register", object, error))?;
        Ok(Self {
            socket,
            readable: true,
        })
    }
}

impl<S: UdpSystem, M: Mover> UdpPair for SocketPair<S, M> {
    fn receive(&mut self, inbox: &mut Inbox) -> io::Result<Progress> {
        inbox.clear();
        let first = self.first;
        self.first = first.other();
        let outcome = self
            .receive_at(first, inbox)
            .and_then(|()| self.receive_at(first.other(), inbox));
        match (inbox.len(), outcome) {
            (0, outcome) => outcome.map(|()| Progress::WouldBlock),
            // An error beside datagrams comes again next time, when nothing hides it.
            (moved, _) => Ok(Progress::Moved(moved)),
        }
    }

    fn send(&mut self, outbox: &Outbox) -> SendReport {
        let mut report = SendReport::default();
        let ends = [
            (Via::Primary, Some(&self.primary)),
            (Via::Secondary, self.secondary.as_ref()),
        ];
        for (via, end) in ends {
            let here = outbox.iter().filter(|datagram| datagram.via == via);
            match end {
                Some(end) => {
                    let socket = end.socket.as_fd();
                    self.mover.send(socket, here, S::SEND_RETRIES, &mut report);
                }
                None => here.for_each(|datagram| {
                    report.refused(datagram.to, Errno::EADDRNOTAVAIL.into());
                }),
            }
        }
        report
    }

    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ends().any(|end| end.readable) {
            self.poll_briefly()?;
        }
        if self.ends().any(|end| end.readable) {
            return Poll::Ready(Ok(()));
        }
        // Both are asked, so that the waker waits at both. The reactor is level-triggered and disarms after each
        // event, so what arrived between the last receive and this call is reported as well.
        for end in self.ends() {
            if let Poll::Ready(outcome) = end.socket.poll_readable(context) {
                outcome?;
                end.readable = true;
            }
        }
        match self.ends().any(|end| end.readable) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }
}

fn name(socket: &impl AsFd) -> String {
    local_address(socket).map_or_else(String::new, |address| address.to_string())
}

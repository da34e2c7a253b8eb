//! The pair of UDP sockets at work. How datagrams cross into the kernel is a [`Mover`]'s business.

use std::io;
use std::iter;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use crate::contract::{Inbox, Outbox, Outgoing, Progress, SendReport, UdpPair, Via};
use crate::error::OsError;
use crate::host::Attached;

mod end;
#[cfg(any(target_os = "linux", target_os = "netbsd", target_os = "openbsd"))]
mod mmsg;
pub(crate) mod open;
mod plain;
mod queues;
#[cfg(any(test, not(target_os = "linux")))]
pub(crate) mod receive_buffer;
mod settle;

use end::{End, name};
#[cfg(any(target_os = "linux", target_os = "netbsd", target_os = "openbsd"))]
pub use mmsg::Mmsg;
pub use open::{Endpoint, PairSockets, UdpSystem};
pub use plain::Plain;
pub use queues::{NeighbourShare, Queues};

/// Milliseconds that a thread waits in poll(2) before it leaves that to the reactor. Nothing else wakes it meanwhile.
const POLL_MILLISECONDS: u8 = 20;

/// How datagrams cross between one socket and the buffers: one by one ([`Plain`]), or many a call.
pub trait Mover: Default {
    /// Receives until the socket is empty or `inbox` is full; says how many.
    ///
    /// # Errors
    /// Of the system, where nothing was received. That the socket is empty is none.
    fn receive(&mut self, socket: BorrowedFd<'_>, via: Via, inbox: &mut Inbox)
    -> io::Result<usize>;

    /// Sends at most [`BATCH`](crate::contract::BATCH) datagrams from `socket`, whichever address they name, adding what became of them to `report`.
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
    attached: Attached,
    share: NeighbourShare,
    system: PhantomData<S>,
}

impl<S: UdpSystem, M: Mover> SocketPair<S, M> {
    /// Puts the sockets to work. Registers them with the reactor of async-io, whose first use in a process starts its
    /// thread: call this only after confinement, which wants no threads. Where [`UdpSystem::queues`] tells, what goes to an
    /// `attached` network is held to a `share` of a socket's send buffer, and drops from now on are counted.
    ///
    /// # Errors
    /// Of the reactor.
    pub fn new(
        sockets: PairSockets,
        attached: Attached,
        share: NeighbourShare,
    ) -> Result<Self, OsError> {
        Ok(Self {
            primary: End::new::<S>(sockets.primary)?,
            secondary: sockets.secondary.map(End::new::<S>).transpose()?,
            first: Via::Primary,
            mover: M::default(),
            attached,
            share,
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
        let Some(end) = at(&mut self.primary, &mut self.secondary, via) else {
            return Ok(());
        };
        end.receive::<S>(&mut self.mover, via, inbox)
    }
}

/// The end at `via`. Takes what it borrows, so that the rest of a pair stays free.
fn at<'a>(primary: &'a mut End, secondary: &'a mut Option<End>, via: Via) -> Option<&'a mut End> {
    match via {
        Via::Primary => Some(primary),
        Via::Secondary => secondary.as_mut(),
    }
}

impl<S: UdpSystem, M: Mover> UdpPair for SocketPair<S, M> {
    fn receive(&mut self, inbox: &mut Inbox) -> io::Result<Progress> {
        inbox.clear();
        let first = self.first;
        self.first = first.other();
        // Both are asked: one that fails must not silence the other.
        let outcome = self.receive_at(first, inbox);
        let outcome = self.receive_at(first.other(), inbox).and(outcome);
        match (inbox.len(), outcome) {
            (0, outcome) => outcome.map(|()| Progress::WouldBlock),
            // An error beside datagrams comes again next time, when nothing hides it.
            (moved, _) => Ok(Progress::Moved(moved)),
        }
    }

    fn look_for_drops(&mut self, inbox: &mut Inbox) {
        for via in [Via::Primary, Via::Secondary] {
            if let Some(end) = at(&mut self.primary, &mut self.secondary, via) {
                end.look::<S>();
                end.tell_dropped(via, inbox);
            }
        }
    }

    fn send(&mut self, outbox: &Outbox) -> SendReport {
        let mut report = SendReport::default();
        for via in [Via::Primary, Via::Secondary] {
            let here = outbox.iter().filter(|datagram| datagram.via == via);
            let Some(end) = at(&mut self.primary, &mut self.secondary, via) else {
                here.for_each(|datagram| {
                    report.refused(datagram.to, Errno::EADDRNOTAVAIL.into());
                });
                continue;
            };
            let neighbour = |datagram: &Outgoing<'_>| self.attached.contains(*datagram.to.ip());
            let neighbours = here.clone().filter(neighbour).count();
            let (socket, report) = (end.socket.as_fd(), &mut report);
            let admits = || end.admits_neighbours::<S>(self.share);
            if neighbours == 0 || neighbours <= self.share.datagrams() && admits() {
                self.mover.send(socket, here, S::SEND_RETRIES, report);
                continue;
            }
            let leaving = here.clone().filter(|datagram| !neighbour(datagram));
            self.mover.send(socket, leaving, S::SEND_RETRIES, report);
            let mut left = here.filter(neighbour).peekable();
            while left.peek().is_some() && admits() {
                let some = left.by_ref().take(self.share.datagrams());
                self.mover.send(socket, some, S::SEND_RETRIES, report);
            }
            left.for_each(|datagram| report.no_room(datagram.to));
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
        // It is quiet: time to look for what was dropped, which `receive` then tells.
        if self.ends().any(End::look_if_unseen::<S>) {
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

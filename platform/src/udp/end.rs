//! One socket of a pair at work.

use std::io;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};

use async_io::Async;

use super::open::local_address;
use super::{Mover, NeighbourShare, Queues, UdpSystem};
use crate::contract::{BATCH, Inbox, Via};
use crate::error::{OsError, is_transient};

/// Batches that are not full after which the queues are looked at all the same.
const LOOK_AFTER: u8 = 64;

/// Failures in a row that pass for those of the moment. More are those of the socket, whatever the system calls them: a filter of
/// system calls says EPERM or ENOMEM for ever, and a socket that is always readable and never read keeps a processor busy.
const TRANSIENT_FAILURES: u8 = 16;

pub(super) struct End {
    pub(super) socket: Async<OwnedFd>,
    /// Cleared when the socket was read empty, set when poll(2) or the reactor says otherwise: saves the call that would
    /// block.
    pub(super) readable: bool,
    /// The kernel's count of drops when it was last looked at.
    dropped: u32,
    /// Datagrams dropped that no inbox was told of yet.
    untold: u64,
    /// Batches since the queues were looked at.
    unseen: u8,
    /// Failures to receive since it last succeeded.
    failures: u8,
}

impl End {
    pub(super) fn new<S: UdpSystem>(socket: OwnedFd) -> Result<Self, OsError> {
        let object = name(&socket);
        S::limit(&socket)?;
        let socket = Async::new_nonblocking(socket)
            .map_err(|error| OsError::new("register", object, error))?;
        // The socket may have served another worker before.
        let dropped = S::queues(socket.as_fd()).map_or(0, |queues| queues.dropped);
        Ok(Self {
            socket,
            readable: true,
            dropped,
            untold: 0,
            unseen: 0,
            failures: 0,
        })
    }

    /// Adds what has arrived to `inbox`, and what is known to have been dropped.
    pub(super) fn receive<S: UdpSystem>(
        &mut self,
        mover: &mut impl Mover,
        via: Via,
        inbox: &mut Inbox,
    ) -> io::Result<()> {
        let room = BATCH.saturating_sub(inbox.len());
        if self.readable && room > 0 {
            let socket = self.socket.as_fd();
            let moved = match mover.receive(socket, via, inbox) {
                Ok(moved) => {
                    self.failures = 0;
                    moved
                }
                Err(error) if is_transient(&error) && self.failures < TRANSIENT_FAILURES => {
                    self.failures = self.failures.saturating_add(1);
                    0
                }
                Err(error) => {
                    // So that poll(2) is asked about the other one, too, before this one is read again.
                    self.readable = false;
                    return Err(receive_error(&socket, error).into());
                }
            };
            self.readable = moved == room;
            self.unseen = self.unseen.saturating_add(1);
            // A full socket fills batches, so that the call is spared for most others. Where a drop alone made the socket
            // readable, it stays so until it has told.
            if (self.readable || moved == 0 || self.unseen >= LOOK_AFTER)
                && let Some(queues) = self.look::<S>()
            {
                inbox.set_backlogged(queues.backlogged());
            }
        }
        self.tell_dropped(via, inbox);
        Ok(())
    }

    /// Adds what is known to have been dropped to `inbox`.
    pub(super) fn tell_dropped(&mut self, via: Via, inbox: &mut Inbox) {
        inbox.add_dropped(via, mem::take(&mut self.untold));
    }

    /// Whether something may be sent to a neighbour.
    pub(super) fn admits_neighbours<S: UdpSystem>(&self, share: NeighbourShare) -> bool {
        S::queues(self.socket.as_fd()).is_none_or(|queues| queues.admit_neighbours(share))
    }

    /// Looks for drops unless that was done since the last batch; whether there is something to tell.
    pub(super) fn look_if_unseen<S: UdpSystem>(&mut self) -> bool {
        if self.unseen > 0 {
            self.look::<S>();
        }
        self.untold > 0
    }

    /// Looks at the queues, and for drops.
    pub(super) fn look<S: UdpSystem>(&mut self) -> Option<Queues> {
        self.unseen = 0;
        self.untold = self
            .untold
            .saturating_add(S::overflowed(self.socket.as_fd()).into());
        let queues = S::queues(self.socket.as_fd())?;
        let news = queues.dropped.wrapping_sub(self.dropped);
        self.untold = self.untold.saturating_add(news.into());
        self.dropped = queues.dropped;
        Some(queues)
    }
}

fn receive_error(socket: &impl AsFd, error: io::Error) -> OsError {
    let failed = OsError::new("receive", name(socket), error);
    match failed.kind() {
        io::ErrorKind::PermissionDenied => failed.remedy(
            "let the filter of system calls that the server was started with allow recvmmsg(2) and recvmsg(2)",
        ),
        _ => failed,
    }
}

pub(super) fn name(socket: &impl AsFd) -> String {
    local_address(socket).map_or_else(String::new, |address| address.to_string())
}

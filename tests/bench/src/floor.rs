//! A server that does nothing but receive and send, with answers of the right sizes: no server can be faster that
//! moves its datagrams in the same way.

use std::io;
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use clap::{Args, ValueEnum};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use platform::udp::Mover;
use platform::udp::Plain;
use platform::{Endpoint, FastMover, Inbox, Outbox, REPLY_MAX, SendReport, Via};

use crate::Fault;
use crate::traffic::{BUBBLE, ECHO, SOLICITATION, Target};

#[derive(Args)]
pub(crate) struct FloorArgs {
    /// The address to answer at.
    #[arg(long, default_value = "127.0.0.1")]
    at: Ipv4Addr,
    /// How datagrams move.
    #[arg(long, default_value = "many")]
    calls: Calls,
    /// Threads, each with its socket.
    #[arg(long, default_value = "1")]
    threads: NonZeroUsize,
}

/// How many datagrams a system call moves.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Calls {
    /// recvmsg(2) and sendto(2)
    One,
    /// recvmmsg(2) and sendmmsg(2), where the system has them
    Many,
}

/// Serves until it is killed.
pub(crate) fn main(args: &FloorArgs) -> Result<(), Fault> {
    let target = Target::at(args.at);
    let primary = Endpoint::open(target.primary, args.threads)?;
    let secondary = Endpoint::open(target.secondary, args.threads)?;
    thread::scope(|scope| {
        let pairs = primary.sockets().iter().zip(secondary.sockets());
        let threads: Vec<_> = pairs
            .map(|pair| {
                scope.spawn(move || match args.calls {
                    Calls::One => serve(Plain, pair),
                    Calls::Many => serve(FastMover::default(), pair),
                })
            })
            .collect();
        for thread in threads {
            thread
                .join()
                .map_err(|_| "a thread of the floor failed")??;
        }
        Ok(())
    })
}

/// One blocking call waits for both sockets, as simple as can be.
fn serve(mut mover: impl Mover, (primary, secondary): (&OwnedFd, &OwnedFd)) -> io::Result<()> {
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    loop {
        let mut ready =
            [primary, secondary].map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        poll(&mut ready, PollTimeout::NONE)?;
        for (entry, socket) in ready.iter().zip([primary, secondary]) {
            // Until it is empty, which a batch that is not full tells.
            while entry.any().unwrap_or(true)
                && answer(&mut mover, socket.as_fd(), &mut inbox, &mut outbox)? == platform::BATCH
            {
            }
        }
    }
}

fn answer(
    mover: &mut impl Mover,
    socket: BorrowedFd<'_>,
    inbox: &mut Inbox,
    outbox: &mut Outbox,
) -> io::Result<usize> {
    inbox.clear();
    outbox.clear();
    let received = mover.receive(socket, Via::Primary, inbox)?;
    for question in inbox.iter() {
        let Some(out) = outbox.free() else { break };
        let len = fill(question.bytes, out);
        outbox.push(Via::Primary, question.from, len);
    }
    mover.send(socket, outbox.iter(), 0, &mut SendReport::default());
    Ok(received)
}

/// As long as an answer, with the question where an answer returns it.
fn fill(question: &[u8], out: &mut [u8; REPLY_MAX]) -> usize {
    let (at, len) = match question.len() {
        len if len == SOLICITATION.0 => (0, SOLICITATION.1),
        len if len == BUBBLE.0 => (BUBBLE.1 - BUBBLE.0, BUBBLE.1),
        len if len == ECHO.0 => (ECHO.1 - ECHO.0, ECHO.1),
        len => (0, len.min(REPLY_MAX)),
    };
    if let Some(place) = out.get_mut(at..at + question.len()) {
        place.copy_from_slice(question);
    }
    len
}

//! One datagram a call: recvmsg(2) and sendto(2), which every Unix has. No unsafe code.

use std::io::{self, IoSliceMut};
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrIn, recvmsg, sendto};

use super::Mover;
use super::settle::settle;
use crate::contract::{DATAGRAM_MAX, Inbox, Outgoing, SendReport, Via};

/// Moves datagrams one by one. Feature `plain-udp` makes [`crate::Udp`] use it where a faster way exists.
#[derive(Default)]
pub struct Plain;

impl Mover for Plain {
    fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        via: Via,
        inbox: &mut Inbox,
    ) -> io::Result<usize> {
        let mut moved = 0_usize;
        loop {
            // Ends the borrow of the inbox with the statement.
            let Some(outcome) = inbox
                .free()
                .next()
                .map(|buffer| receive_one(socket, buffer))
            else {
                break;
            };
            match outcome {
                Ok((from, length)) => inbox.fill(via, from, length),
                Err(Errno::EAGAIN) => break,
                Err(error) => {
                    if error == Errno::ENOBUFS {
                        inbox.add_dropped(via, 1);
                    }
                    // One beside datagrams, if it is to stay, comes again with the next call.
                    match moved {
                        0 => return Err(error.into()),
                        _ => break,
                    }
                }
            }
            moved = moved.saturating_add(1);
        }
        Ok(moved)
    }

    fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = Outgoing<'a>>,
        retries: usize,
        report: &mut SendReport,
    ) {
        send_by(datagrams, retries, report, |datagram| {
            let to = SockaddrIn::from(datagram.to);
            sendto(socket.as_raw_fd(), datagram.bytes, &to, MsgFlags::empty())
        });
    }
}

/// Sends each by `call`, which is sendto(2) but in tests.
pub(super) fn send_by<'a>(
    datagrams: impl Iterator<Item = Outgoing<'a>>,
    mut retries: usize,
    report: &mut SendReport,
    mut call: impl FnMut(&Outgoing<'a>) -> nix::Result<usize>,
) {
    for datagram in datagrams {
        loop {
            let outcome = call(&datagram).map(|_| 1);
            if settle(outcome, datagram.to, &mut retries, report) > 0 {
                break;
            }
        }
    }
}

/// Source and true length; where the system cut the datagram and tells no more, a length that does not fit.
fn receive_one(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8; DATAGRAM_MAX],
) -> nix::Result<(SocketAddrV4, usize)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, None, MsgFlags::empty())?;
    let from = message.address.ok_or(Errno::EAFNOSUPPORT)?;
    let length = match message.flags.contains(MsgFlags::MSG_TRUNC) {
        false => message.bytes,
        true => message.bytes.max(DATAGRAM_MAX.saturating_add(1)),
    };
    Ok((SocketAddrV4::new(from.ip(), from.port()), length))
}

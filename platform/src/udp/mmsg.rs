//! Many datagrams a call: recvmmsg(2) and sendmmsg(2), for the systems that have them.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::socket::SockaddrIn;

use super::Mover;
use super::settle::settle;
use crate::contract::{BATCH, DATAGRAM_MAX, Inbox, Outgoing, SendReport, Via};

/// The headers that the two calls want, allocated once. Payloads move between the kernel and the callers' buffers.
///
/// Every pointer in here is written before each call and is dead after it.
pub struct Mmsg {
    headers: Box<[libc::mmsghdr]>,
    parts: Box<[libc::iovec]>,
    peers: Box<[libc::sockaddr_in]>,
}

// SAFETY: the raw pointers, the only reason why the compiler does not see this by itself, are not read before the
// thread that holds `&mut self` has written them anew.
unsafe impl Send for Mmsg {}

impl Default for Mmsg {
    fn default() -> Self {
        // SAFETY: an mmsghdr is integers and pointers, for which all-zero is a value.
        let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
        header.msg_hdr.msg_iovlen = 1;
        let part = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        let peer = *SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).as_ref();
        Self {
            headers: vec![header; BATCH].into_boxed_slice(),
            parts: vec![part; BATCH].into_boxed_slice(),
            peers: vec![peer; BATCH].into_boxed_slice(),
        }
    }
}

impl Mmsg {
    /// Points the next header at `len` bytes at `base` and at the address beside it.
    fn rows(&mut self) -> impl Iterator<Item = Row<'_>> {
        self.headers
            .iter_mut()
            .zip(&mut self.parts)
            .zip(&mut self.peers)
            .map(|((header, part), peer)| Row { header, part, peer })
    }
}

struct Row<'a> {
    header: &'a mut libc::mmsghdr,
    part: &'a mut libc::iovec,
    peer: &'a mut libc::sockaddr_in,
}

impl Row<'_> {
    fn point_at(self, base: *mut u8, len: usize) {
        self.part.iov_base = base.cast();
        self.part.iov_len = len;
        self.header.msg_hdr.msg_iov = self.part;
        self.header.msg_hdr.msg_name = ptr::from_mut(self.peer).cast();
        self.header.msg_hdr.msg_namelen = PEER_LEN;
    }
}

const PEER_LEN: libc::socklen_t = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;

impl Mover for Mmsg {
    fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        via: Via,
        inbox: &mut Inbox,
    ) -> io::Result<usize> {
        let mut room: libc::c_uint = 0;
        for (row, buffer) in self.rows().zip(inbox.free()) {
            row.point_at(buffer.as_mut_ptr(), buffer.len());
            room = room.saturating_add(1);
        }
        // SAFETY: the first `room` headers point at an address in `self` and a free buffer of `inbox` each, both
        // borrowed mutably by this function and of the lengths given; a null timeout is allowed.
        let outcome = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                room,
                0,
                ptr::null_mut(),
            )
        };
        let moved = match Errno::result(outcome) {
            Ok(moved) => usize::try_from(moved).unwrap_or(0),
            Err(Errno::ENOBUFS) => {
                inbox.add_dropped(via, 1);
                return Err(Errno::ENOBUFS.into());
            }
            Err(Errno::EAGAIN) => 0,
            Err(error) => return Err(error.into()),
        };
        for (header, peer) in self.headers.iter().zip(&self.peers).take(moved) {
            inbox.fill(via, address(peer), length(header));
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
        self.send_by(datagrams, retries, report, |headers| {
            let len = libc::c_uint::try_from(headers.len()).unwrap_or(1);
            // SAFETY: `headers` is `len` headers that `send_by` has pointed at addresses and payloads which it borrows;
            // sendmmsg only reads through these pointers.
            let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), len, 0) };
            Errno::result(sent).map(|sent| usize::try_from(sent).unwrap_or(0))
        });
    }
}

impl Mmsg {
    /// Sends at most a batch by `call`, which is sendmmsg(2) but in tests.
    pub(super) fn send_by<'a>(
        &mut self,
        datagrams: impl Iterator<Item = Outgoing<'a>>,
        mut retries: usize,
        report: &mut SendReport,
        mut call: impl FnMut(&mut [libc::mmsghdr]) -> nix::Result<usize>,
    ) {
        let mut count = 0_usize;
        for (row, datagram) in self.rows().zip(datagrams) {
            *row.peer = *SockaddrIn::from(datagram.to).as_ref();
            row.point_at(datagram.bytes.as_ptr().cast_mut(), datagram.bytes.len());
            count = count.saturating_add(1);
        }
        let mut rest = self.headers.get_mut(..count).unwrap_or_default();
        let mut peers = self.peers.get(..count).unwrap_or_default();
        while let Some(peer) = peers.first() {
            // What sendmmsg says of the first datagram; a later one that fails ends the call early and speaks next time.
            let done = settle(call(rest), address(peer), &mut retries, report);
            rest = rest.get_mut(done..).unwrap_or_default();
            peers = peers.get(done..).unwrap_or_default();
        }
    }
}

fn address(peer: &libc::sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(
        Ipv4Addr::from(u32::from_be(peer.sin_addr.s_addr)),
        u16::from_be(peer.sin_port),
    )
}

/// True length of a received datagram; where the system cut it and tells no more, a length that does not fit.
fn length(header: &libc::mmsghdr) -> usize {
    let length = usize::try_from(header.msg_len).unwrap_or(usize::MAX);
    match header.msg_hdr.msg_flags & libc::MSG_TRUNC {
        0 => length,
        _ => length.max(DATAGRAM_MAX.saturating_add(1)),
    }
}

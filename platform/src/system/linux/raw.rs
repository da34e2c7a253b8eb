//! Raw ICMPv6 on Linux: a raw socket of protocol IPPROTO_RAW carries its own IPv6 header.

use std::io::{self, IoSlice};
use std::net::SocketAddrV6;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::contract::{Icmp6, Progress, RawIcmp6};
use crate::echo::ipv6_header;
use crate::error::{OsError, is_full};

/// Opens what [`RawSocket`] sends through. Needs root or CAP_NET_RAW; the descriptor needs neither afterwards.
///
/// The socket includes the header by default (raw(7); net/ipv6/af_inet6.c, `inet6_create`). It is never asked
/// whether it does: socket2's getter reads the IPv4 option.
///
/// # Errors
/// `socket`, mostly for want of privilege.
pub(super) fn open_raw() -> Result<OwnedFd, OsError> {
    let raw_error = |call| move |error| OsError::new(call, "raw IPv6", error);
    let socket = Socket::new(
        Domain::IPV6,
        Type::RAW,
        Some(Protocol::from(libc::IPPROTO_RAW)),
    )
    .map_err(|error| {
        raw_error("socket")(error)
            .permission(
                "start as root or with the capability CAP_NET_RAW",
                "root lacks the capability CAP_NET_RAW here",
            )
            .without_ipv6()
    })?;
    socket
        .set_nonblocking(true)
        .map_err(raw_error("fcntl O_NONBLOCK"))?;
    socket
        .attach_filter(&[KEEP_NOTHING])
        .map_err(raw_error("setsockopt SO_ATTACH_FILTER"))?;
    Ok(socket.into())
}

/// raw(7) calls an IPPROTO_RAW socket send-only, yet a packet whose next header is 255 matches its protocol
/// (net/ipv6/raw.c, `raw6_local_deliver`) and would lie in its queue for ever: the filter keeps 0 bytes of each.
const KEEP_NOTHING: SockFilter =
    SockFilter::new(libc::BPF_RET as u16 | libc::BPF_K as u16, 0, 0, 0);

/// Sends ICMPv6 through a raw socket.
pub struct RawSocket(Socket);

impl From<OwnedFd> for RawSocket {
    fn from(socket: OwnedFd) -> Self {
        Self(socket.into())
    }
}

impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl RawIcmp6 for RawSocket {
    fn send(&mut self, message: &Icmp6<'_>) -> io::Result<Progress> {
        let header = ipv6_header::header(message)?;
        let parts = [IoSlice::new(&header), IoSlice::new(message.message)];
        // A port other than 0 would be taken for a protocol (net/ipv6/raw.c, `rawv6_sendmsg`).
        let to = SocketAddrV6::new(message.destination, 0, 0, 0);
        match self.0.send_to_vectored(&parts, &to.into()) {
            Ok(_) => Ok(Progress::Moved(1)),
            Err(error)
                if error
                    .raw_os_error()
                    .map(Errno::from_raw)
                    .is_some_and(is_full) =>
            {
                Ok(Progress::WouldBlock)
            }
            Err(error) => Err(OsError::new("send", message.destination, error).into()),
        }
    }
}

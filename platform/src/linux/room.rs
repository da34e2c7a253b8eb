//! Room for datagrams that have arrived (socket(7)).

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use socket2::SockRef;

use crate::sockopt;

/// What SO_RCVBUF cannot pass.
pub const RECEIVE_BUFFER_LIMIT: &str = "net.core.rmem_max";

/// Past the limit where CAP_NET_ADMIN allows that, else up to it. The kernel doubles the number, for its own bookkeeping, both ways
/// (net/core/sock.c, `__sock_set_rcvbuf`); here it is never the doubled one.
pub(crate) fn set_receive_buffer(socket: &OwnedFd, bytes: u32) -> io::Result<u32> {
    let value = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    match sockopt::set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, value) {
        Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => {
            sockopt::set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, value)?;
        }
        outcome => outcome?,
    }
    let doubled = u32::try_from(SockRef::from(socket).recv_buffer_size()?).unwrap_or(u32::MAX);
    Ok((doubled / 2).min(bytes))
}

//! Room for datagrams that have arrived (socket(7)).

use std::io;
use std::os::fd::OwnedFd;

use socket2::SockRef;

use crate::socket_option;

/// What SO_RCVBUF cannot pass.
pub(super) const LIMIT: &str = "net.core.rmem_max";

/// Past the limit where CAP_NET_ADMIN allows that (in the first user namespace: net/core/sock.c, `sk_setsockopt`), else up to
/// it, where the kernel cuts without a word. It doubles the number, for its own bookkeeping, both ways
/// (net/core/sock.c, `__sock_set_rcvbuf`); here it is never the doubled one.
pub(super) fn set_receive_buffer(socket: &OwnedFd, bytes: u32) -> io::Result<u32> {
    let value = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    if socket_option::set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, value).is_err() {
        socket_option::set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, value)?;
    }
    let doubled = u32::try_from(SockRef::from(socket).recv_buffer_size()?).unwrap_or(u32::MAX);
    Ok((doubled / 2).min(bytes))
}

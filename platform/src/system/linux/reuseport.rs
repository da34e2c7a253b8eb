//! UDP sockets of Linux: no DF bit, and datagrams spread among several sockets by the hash of their addresses.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use socket2::{SockRef, Socket};

use crate::error::OsError;
use crate::socket_option;
use crate::system::Here;
use crate::udp::open::{bind, socket};

/// ip(7), IP_PMTUDISC_DONT: never set DF.
pub(super) fn clear_dont_fragment(socket: &Socket) -> io::Result<()> {
    socket_option::set(
        socket,
        libc::IPPROTO_IP,
        libc::IP_MTU_DISCOVER,
        libc::IP_PMTUDISC_DONT,
    )
}

/// One more socket on the address of `first`, sharing its port by load.
///
/// `first` was bound alone, so that a port in use is noticed whatever the other server's options, and shares only from
/// now on. A group that is formed after the first bind works: net/ipv4/udp.c, `udp_reuseport_add_sock`, allocates it
/// when the second socket comes (net/core/sock_reuseport.c, `reuseport_add_sock`).
pub(super) fn open_beside(first: &OwnedFd, address: SocketAddrV4) -> Result<OwnedFd, OsError> {
    let share = |socket: SockRef<'_>| {
        socket
            .set_reuse_port(true)
            .map_err(|error| OsError::new("setsockopt SO_REUSEPORT", address, error))
    };
    let next = socket::<Here>(address)?;
    share(SockRef::from(first))?;
    share(SockRef::from(&next))?;
    bind(&next, address)?;
    Ok(next.into())
}

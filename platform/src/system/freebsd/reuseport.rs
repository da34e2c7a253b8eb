//! UDP sockets of FreeBSD: no DF bit, and datagrams spread among several sockets by the hash of their addresses.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use socket2::Socket;

use crate::udp::open::{bind, local_address, open_alone, socket};
use crate::{OsError, socket_option};

/// ip(4), IP_DONTFRAG.
pub(crate) fn clear_dont_fragment(socket: &Socket) -> io::Result<()> {
    socket_option::set(socket, libc::IPPROTO_IP, libc::IP_DONTFRAG, 0)
}

/// The first socket on `address`, which others can join.
///
/// A socket is in a group only if it shared when it was bound (sys/netinet/in_pcb.c, `in_pcbinslbgrouphash`, on the way
/// of bind(2)), and such a one does not notice another server of this user that shares too. So one that does not share is
/// bound before, and closed.
pub(crate) fn open_first(address: SocketAddrV4) -> Result<Socket, OsError> {
    let trial = open_alone(address)?;
    let address = local_address(&trial).unwrap_or(address);
    drop(trial);
    open_sharing(address)
}

/// One more socket on the address of the first.
pub(crate) fn open_beside(_: &OwnedFd, address: SocketAddrV4) -> Result<OwnedFd, OsError> {
    open_sharing(address).map(OwnedFd::from)
}

/// SO_REUSEPORT_LB (setsockopt(2)) since FreeBSD 12.
fn open_sharing(address: SocketAddrV4) -> Result<Socket, OsError> {
    let socket = socket(address)?;
    socket_option::set(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT_LB, 1)
        .map_err(|error| OsError::new("setsockopt SO_REUSEPORT_LB", address, error))?;
    bind(&socket, address)?;
    Ok(socket)
}

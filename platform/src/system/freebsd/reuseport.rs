//! UDP sockets of FreeBSD: no DF bit, and datagrams spread among several sockets by the hash of their addresses.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use socket2::Socket;

use crate::error::OsError;
use crate::socket_option;
use crate::system::Here;
use crate::udp::open::{bind, local_address, open_alone, socket};

/// ip(4), IP_DONTFRAG.
pub(super) fn clear_dont_fragment(socket: &Socket) -> io::Result<()> {
    socket_option::set(socket, libc::IPPROTO_IP, libc::IP_DONTFRAG, 0)
}

/// The first socket on `address`, which others can join.
///
/// A socket is in a group only if it shared when it was bound (sys/netinet/in_pcb.c, `in_pcbinslbgrouphash`, on the way
/// of bind(2)), and such a one does not notice another server of this user that shares too. So one that does not share is
/// bound before, and closed.
pub(super) fn open_first(address: SocketAddrV4) -> Result<Socket, OsError> {
    let trial = open_alone::<Here>(address)?;
    let address = local_address(&trial).unwrap_or(address);
    drop(trial);
    open_sharing(address)
}

/// One more socket on the address of the first.
pub(super) fn open_beside(address: SocketAddrV4) -> Result<OwnedFd, OsError> {
    open_sharing(address).map(OwnedFd::from)
}

/// SO_REUSEPORT_LB (setsockopt(2)) since FreeBSD 12.
fn open_sharing(address: SocketAddrV4) -> Result<Socket, OsError> {
    let socket = socket::<Here>(address)?;
    socket_option::set(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT_LB, 1)
        .map_err(|error| OsError::new("setsockopt SO_REUSEPORT_LB", address, error))?;
    bind(&socket, address)?;
    Ok(socket)
}

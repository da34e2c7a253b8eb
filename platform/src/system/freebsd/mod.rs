//! FreeBSD 14 and later: before, procctl(2) may not know PROC_NO_NEW_PRIVS_CTL (sys/sys/procctl.h of 13.0 does not).

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::process::Command;

use nix::unistd::Pid;
use socket2::{SockRef, Socket};

use super::{Here, bsd};
use crate::echo::EchoSystem;
use crate::echo::tunnel::{TunnelSystem, device, family};
use crate::error::OsError;
use crate::process::confine::Privileges;
use crate::process::lock_down::{Alarm, LockDown, Work, set_limits};
use crate::process::open_descriptors::{self, Descriptors};
use crate::process::rights::Rights;
use crate::socket_option;
use crate::udp::UdpSystem;

mod privileges;
mod raw;
mod reuseport;

/// How many descriptors of this process are open (sys/kern/kern_descrip.c, `sysctl_kern_proc_nfds`).
const OPEN_DESCRIPTORS_MIB: [libc::c_int; 4] =
    [libc::CTL_KERN, libc::KERN_PROC, libc::KERN_PROC_NFDS, 0];

impl UdpSystem for Here {
    /// recvmmsg(3) and sendmmsg(3) are loops in the C library (lib/libc/gen/recvmmsg.c, sendmmsg.c): nothing is gained.
    type Mover = crate::udp::Plain;

    /// `sosend_dgram` (sys/kern/uipc_socket.c) takes no lock for the length of a send, charges nothing to the socket and never
    /// says EWOULDBLOCK.
    const SEND_RETRIES: usize = 0;

    const RECEIVE_BUFFER_LIMIT: &'static str = bsd::RECEIVE_BUFFER_LIMIT;
    const LIST_SOCKETS: &'static str = "sockstat -4l";

    fn set_receive_buffer(socket: &OwnedFd, bytes: u32) -> io::Result<u32> {
        bsd::set_receive_buffer(socket, bytes)
    }

    fn clear_dont_fragment(socket: &Socket) -> io::Result<()> {
        reuseport::clear_dont_fragment(socket)
    }

    /// SO_RERROR since FreeBSD 14.
    fn remember_drops(socket: &Socket) -> io::Result<()> {
        socket_option::set(socket, libc::SOL_SOCKET, libc::SO_RERROR, 1)
    }

    /// Here receiving does not tell (`soreceive_dgram`, sys/kern/uipc_socket.c), and the socket is readable until SO_ERROR has.
    fn overflowed(socket: BorrowedFd<'_>) -> bool {
        let error = SockRef::from(&socket).take_error().ok().flatten();
        error.is_some_and(|error| error.raw_os_error() == Some(libc::ENOBUFS))
    }

    fn open_first(address: SocketAddrV4) -> Result<Socket, OsError> {
        reuseport::open_first(address)
    }

    fn open_beside(_: &OwnedFd, address: SocketAddrV4) -> Result<OwnedFd, OsError> {
        reuseport::open_beside(address)
    }
}

impl EchoSystem for Here {
    type RawSocket = raw::RawSocket;

    const RAW_IS_TUNNEL: bool = false;

    fn open_raw() -> Result<OwnedFd, OsError> {
        raw::open_raw()
    }
}

impl TunnelSystem for Here {
    const FRAME: &'static [u8] = &family(libc::AF_INET6);
    const FORWARDING: &'static str = bsd::FORWARDING;

    fn open_device() -> Result<(OwnedFd, String), OsError> {
        device::open_framed()
    }

    /// rc(8) switches IPv6 off on interfaces that rc.conf(5) does not name (`ipv6_activate_all_interfaces`), and `tunwrite`
    /// drops in silence what is written to an interface that is down.
    fn raise(interface: &str) -> Command {
        bsd::ifconfig(interface, &["inet6", "-ifdisabled", "up"])
    }

    fn forwards() -> io::Result<bool> {
        bsd::forwards()
    }
}

impl Privileges for Here {
    fn renounce(_: Pid, _: &mut Vec<OsError>) -> Result<(), OsError> {
        privileges::renounce()
    }

    fn prove() -> Result<(), OsError> {
        privileges::prove()
    }
}

impl LockDown for Here {
    fn lock_down(work: Work, alarm: Alarm, _: &mut Vec<OsError>) -> Result<(), OsError> {
        drop(alarm);
        privileges::limit_all(work)?;
        set_limits(work)
    }
}

impl Descriptors for Here {
    fn open_descriptors() -> Vec<RawFd> {
        match bsd::read_int(OPEN_DESCRIPTORS_MIB).map(usize::try_from) {
            Ok(Ok(count)) => open_descriptors::first(count),
            _ => open_descriptors::every_number(),
        }
    }
}

impl Rights for Here {
    fn limit(descriptor: &impl AsFd) -> Result<(), OsError> {
        privileges::limit(descriptor)
    }
}

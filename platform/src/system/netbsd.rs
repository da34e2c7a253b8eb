//! NetBSD 10 and later.
//!
//! No raw socket here sends from a foreign address (`in6_selectsrc`, sys/netinet6/in6_src.c, and `rip6_bind`,
//! sys/netinet6/raw_ip6.c, want a local one): ICMPv6 leaves by a tunnel.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::process::Command;

use socket2::Socket;

use super::{Here, bsd};
use crate::echo::EchoSystem;
use crate::echo::tunnel::{Tunnel, TunnelSystem, device, family};
use crate::error::OsError;
use crate::process::confine::Privileges;
use crate::process::lock_down::LockDown;
use crate::process::open_descriptors::{self, Descriptors};
use crate::process::rights::Rights;
use crate::socket_option;
use crate::udp::UdpSystem;

/// sys/sys/socket.h; libc does not have it here.
const SO_RERROR: libc::c_int = 0x4000;

impl UdpSystem for Here {
    /// recvmmsg(2) and sendmmsg(2) since NetBSD 7.
    type Mover = crate::udp::Mmsg;

    const RECEIVE_BUFFER_LIMIT: &'static str = bsd::RECEIVE_BUFFER_LIMIT;
    const LIST_SOCKETS: &'static str = "sockstat -4l";

    /// Receiving then fails with ENOBUFS (`soreceive`, sys/kern/uipc_socket.c; `sys_recvmmsg`, sys/kern/uipc_syscalls.c).
    fn remember_drops(socket: &Socket) -> io::Result<()> {
        socket_option::set(socket, libc::SOL_SOCKET, SO_RERROR, 1)
    }

    fn set_receive_buffer(socket: &OwnedFd, bytes: u32) -> io::Result<u32> {
        bsd::set_receive_buffer(socket, bytes)
    }
}

impl EchoSystem for Here {
    type RawSocket = Tunnel<Self>;
}

impl TunnelSystem for Here {
    const FRAME: &'static [u8] = &family(libc::AF_INET6);
    const FORWARDING: &'static str = bsd::FORWARDING;

    fn open_device() -> Result<(OwnedFd, String), OsError> {
        device::open_framed()
    }

    fn raise(interface: &str) -> Command {
        bsd::raise(interface)
    }

    fn forwards() -> io::Result<bool> {
        bsd::forwards()
    }
}

impl Privileges for Here {}

impl LockDown for Here {}

impl Descriptors for Here {
    fn open_descriptors() -> Vec<RawFd> {
        // SAFETY: F_MAXFD (fcntl(2)) changes nothing and takes any descriptor.
        let highest = unsafe { libc::fcntl(0, libc::F_MAXFD) };
        match highest {
            0.. => (0..=highest).collect(),
            _ => open_descriptors::every_number(),
        }
    }
}

impl Rights for Here {}

//! macOS.
//!
//! No raw socket here sends from a foreign address (`rip6_output`, bsd/netinet6/raw_ip6.c of xnu, asks `in6_selectsrc`, which
//! wants a local one): ICMPv6 leaves by a tunnel, a utun interface.

use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SysControlAddr, connect, getsockopt, socket,
    sockopt,
};
use socket2::SockRef;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::Command;

use super::{Here, bsd};
use crate::echo::EchoSystem;
use crate::echo::tunnel::{Tunnel, TunnelSystem, family};
use crate::error::OsError;
use crate::process::confine::Privileges;
use crate::process::lock_down::LockDown;
use crate::process::open_descriptors::{self, Descriptors};
use crate::process::rights::Rights;
use crate::udp::UdpSystem;

/// UTUN_CONTROL_NAME in bsd/net/if_utun.h of xnu.
const UTUN: &str = "com.apple.net.utun_control";

impl UdpSystem for Here {
    type Mover = crate::udp::Plain;

    const RECEIVE_BUFFER_LIMIT: &'static str = bsd::RECEIVE_BUFFER_LIMIT;
    const LIST_SOCKETS: &'static str = "lsof -nP -iUDP";

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
        open_utun()
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
    /// bsd/miscfs/devfs/devfs_fdesc_support.c of xnu, `devfs_devfd_readdir`.
    fn open_descriptors() -> Vec<RawFd> {
        open_descriptors::listed("/dev/fd").unwrap_or_else(open_descriptors::every_number)
    }
}

impl Rights for Here {}

/// A new utun, and the name of its interface, which the kernel picks (bsd/net/if_utun.c, `utun_ctl_connect`). Needs root.
fn open_utun() -> Result<(OwnedFd, String), OsError> {
    let utun_error = |call| move |error: nix::Error| OsError::new(call, "utun", error);
    let socket = socket(
        AddressFamily::System,
        SockType::Datagram,
        SockFlag::empty(),
        SockProtocol::KextControl,
    )
    .map_err(utun_error("socket"))?;
    // In two steps: the system has no flag for it.
    let set = SockRef::from(&socket).set_cloexec(true);
    set.map_err(|error| OsError::new("fcntl FD_CLOEXEC", "utun", error))?;
    let address = SysControlAddr::from_name(socket.as_raw_fd(), UTUN, 0)
        .map_err(utun_error("ioctl CTLIOCGINFO"))?;
    connect(socket.as_raw_fd(), &address).map_err(|error| {
        utun_error("connect")(error).permission("start as root", "root may not here")
    })?;
    let set = SockRef::from(&socket).set_nonblocking(true);
    set.map_err(|error| OsError::new("fcntl O_NONBLOCK", "utun", error))?;
    let name: CString = getsockopt(&socket, sockopt::UtunIfname)
        .map_err(utun_error("getsockopt UTUN_OPT_IFNAME"))?;
    Ok((socket, name.to_string_lossy().into_owned()))
}

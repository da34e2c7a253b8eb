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
use std::os::fd::{AsRawFd, OwnedFd};

use crate::OsError;
pub(crate) use crate::echo::duplicate as share_raw;
pub(crate) use crate::echo::tunnel::Tunnel as RawSocket;
pub(crate) use crate::echo::tunnel::open as open_raw;
pub(crate) use crate::process::confine::{
    nothing_to_prove as prove, nothing_to_renounce as renounce, nothing_to_seal as seal,
};
pub(crate) use crate::process::rights::nothing as limit;
pub use crate::system::bsd::RECEIVE_BUFFER_LIMIT;
pub(crate) use crate::system::bsd::{
    FORWARDING, forwards, raise, set_receive_buffer, single_thread,
};
pub(crate) use crate::udp::open::{
    duplicate as open_beside, never_set as clear_dont_fragment, open_alone as open_first,
};
pub use crate::udp::plain::Plain as Mover;

/// UTUN_CONTROL_NAME in bsd/net/if_utun.h of xnu.
const UTUN: &str = "com.apple.net.utun_control";

pub(crate) const RAW_IS_TUNNEL: bool = true;
pub(crate) const FRAME: &[u8] = &crate::echo::tunnel::family(libc::AF_INET6);

/// A new utun, and the name of its interface, which the kernel picks (bsd/net/if_utun.c, `utun_ctl_connect`). Needs root.
pub(crate) fn open_tunnel() -> Result<(OwnedFd, String), OsError> {
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
    connect(socket.as_raw_fd(), &address)
        .map_err(|error| utun_error("connect")(error).remedy("start as root"))?;
    let set = SockRef::from(&socket).set_nonblocking(true);
    set.map_err(|error| OsError::new("fcntl O_NONBLOCK", "utun", error))?;
    let name: CString = getsockopt(&socket, sockopt::UtunIfname)
        .map_err(utun_error("getsockopt UTUN_OPT_IFNAME"))?;
    Ok((socket, name.to_string_lossy().into_owned()))
}

//! OpenBSD 7.2 and later.

mod pledge;
mod raw;

use std::os::fd::OwnedFd;

pub(crate) use pledge::{may_open_raw, prove, renounce, restrict_monitor, seal};
pub(crate) use raw::{RawSocket, open_raw, share_raw};

pub(crate) use crate::process::rights::nothing as limit;
pub use crate::system::bsd::RECEIVE_BUFFER_LIMIT;
pub(crate) use crate::system::bsd::{
    FORWARDING, forwards, raise, set_receive_buffer, single_thread,
};
pub(crate) use crate::udp::open::{
    duplicate as open_beside, never_set as clear_dont_fragment, open_alone as open_first,
};

/// recvmmsg(2) and sendmmsg(2) since OpenBSD 7.2.
pub use crate::udp::mmsg::Mmsg as Mover;

pub(crate) const RAW_IS_TUNNEL: bool = false;
pub(crate) const FRAME: &[u8] = &crate::echo::tunnel::family(libc::AF_INET6);

/// The family is always before the packet here (`tun_input`, sys/net/if_tun.c).
pub(crate) fn open_tunnel() -> Result<(OwnedFd, String), crate::OsError> {
    crate::echo::tunnel::device::open().map(|(device, name)| (device.into(), name))
}

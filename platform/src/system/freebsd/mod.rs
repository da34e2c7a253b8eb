//! FreeBSD 14 and later: before, procctl(2) may not know PROC_NO_NEW_PRIVS_CTL (sys/sys/procctl.h of 13.0 does not).

mod privileges;
mod raw;
mod reuseport;

use std::process::Command;

pub(crate) use privileges::{limit, prove, renounce};
pub(crate) use raw::{RawSocket, open_raw};
pub(crate) use reuseport::{clear_dont_fragment, open_beside, open_first};

pub(crate) use crate::echo::duplicate as share_raw;
pub(crate) use crate::echo::tunnel::device::open_framed as open_tunnel;
pub(crate) use crate::process::confine::nothing_to_seal as seal;
pub use crate::system::bsd::RECEIVE_BUFFER_LIMIT;
pub(crate) use crate::system::bsd::{FORWARDING, forwards, set_receive_buffer, single_thread};

/// recvmmsg(3) and sendmmsg(3) are loops in the C library (lib/libc/gen/recvmmsg.c, sendmmsg.c): nothing is gained.
pub use crate::udp::plain::Plain as Mover;

pub(crate) const RAW_IS_TUNNEL: bool = false;
pub(crate) const FRAME: &[u8] = &crate::echo::tunnel::family(libc::AF_INET6);

/// rc(8) switches IPv6 off on interfaces that rc.conf(5) does not name (`ipv6_activate_all_interfaces`), and `tunwrite` drops
/// in silence what is written to an interface that is down.
pub(crate) fn raise(interface: &str) -> Command {
    crate::system::bsd::ifconfig(interface, &["inet6", "-ifdisabled", "up"])
}

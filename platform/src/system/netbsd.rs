//! NetBSD 10 and later.
//!
//! No raw socket here sends from a foreign address (`in6_selectsrc`, sys/netinet6/in6_src.c, and `rip6_bind`,
//! sys/netinet6/raw_ip6.c, want a local one): ICMPv6 leaves by a tunnel.

pub(crate) use crate::echo::duplicate as share_raw;
pub(crate) use crate::echo::tunnel::Tunnel as RawSocket;
pub(crate) use crate::echo::tunnel::device::open_framed as open_tunnel;
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

/// recvmmsg(2) and sendmmsg(2) since NetBSD 7.
pub use crate::udp::mmsg::Mmsg as Mover;

pub(crate) const RAW_IS_TUNNEL: bool = true;
pub(crate) const FRAME: &[u8] = &crate::echo::tunnel::family(libc::AF_INET6);

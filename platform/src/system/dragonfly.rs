//! DragonFly BSD. Checked by compilers alone.
//!
//! No raw socket here sends from a foreign address (sys/netinet6/in6.h has no option for it): ICMPv6 leaves by a tunnel.

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

pub use crate::udp::plain::Plain as Mover;

pub(crate) const RAW_IS_TUNNEL: bool = true;
pub(crate) const FRAME: &[u8] = &crate::echo::tunnel::family(libc::AF_INET6);

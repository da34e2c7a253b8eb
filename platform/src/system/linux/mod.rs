//! Linux.

mod privileges;
mod raw;
mod receive_buffer;
mod reuseport;
mod tunnel;

pub(crate) use privileges::{prove, renounce, single_thread};
pub(crate) use raw::{RawSocket, open_raw};
pub use receive_buffer::RECEIVE_BUFFER_LIMIT;
pub(crate) use receive_buffer::set_receive_buffer;
pub(crate) use reuseport::{clear_dont_fragment, open_beside};
pub(crate) use tunnel::{FORWARDING, FRAME, forwards, open_tunnel, raise};

pub(crate) use crate::echo::duplicate as share_raw;
pub(crate) use crate::process::confine::nothing_to_seal as seal;
pub(crate) use crate::process::rights::nothing as limit;
pub(crate) use crate::udp::open::open_alone as open_first;

pub use crate::udp::mmsg::Mmsg as Mover;

pub(crate) const RAW_IS_TUNNEL: bool = false;

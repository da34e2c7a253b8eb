//! Linux.

mod privileges;
mod raw;
mod room;
mod spread;
mod tun;

pub(crate) use privileges::{prove, renounce, single_thread};
pub(crate) use raw::{RawSocket, open_raw};
pub use room::RECEIVE_BUFFER_LIMIT;
pub(crate) use room::set_receive_buffer;
pub(crate) use spread::{clear_dont_fragment, open_beside};
pub(crate) use tun::{FORWARDING, FRAME, forwards, open_tunnel, raise};

pub(crate) use crate::confine::nothing_to_seal as seal;
pub(crate) use crate::limit::nothing as limit;
pub(crate) use crate::raw::duplicate as share_raw;
pub(crate) use crate::udp::open::open_alone as open_first;

pub use crate::mmsg::Mmsg as Mover;

pub(crate) const RAW_IS_TUNNEL: bool = false;

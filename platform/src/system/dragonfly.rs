//! DragonFly BSD. Checked by compilers alone.
//!
//! No raw socket here sends from a foreign address (sys/netinet6/in6.h has no option for it): ICMPv6 leaves by a tunnel.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;

use super::{Here, bsd};
use crate::echo::EchoSystem;
use crate::echo::tunnel::{Tunnel, TunnelSystem, device, family};
use crate::error::OsError;
use crate::process::confine::Privileges;
use crate::process::lock_down::LockDown;
use crate::process::open_descriptors::Descriptors;
use crate::process::rights::Rights;
use crate::udp::UdpSystem;

impl UdpSystem for Here {
    type Mover = crate::udp::Plain;

    const RECEIVE_BUFFER_LIMIT: &'static str = bsd::RECEIVE_BUFFER_LIMIT;
    const LIST_SOCKETS: &'static str = "sockstat -4l";

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

impl Descriptors for Here {}

impl Rights for Here {}

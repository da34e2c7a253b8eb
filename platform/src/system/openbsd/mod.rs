//! OpenBSD 7.2 and later.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;
use std::process::Command;

use nix::unistd::Pid;

use super::{Here, bsd};
use crate::echo::EchoSystem;
use crate::echo::tunnel::{TunnelSystem, device, family};
use crate::error::OsError;
use crate::process::confine::Privileges;
use crate::process::lock_down::{Alarm, LockDown, Work};
use crate::process::open_descriptors::{self, Descriptors};
use crate::process::rights::{Access, Rights};
use crate::udp::UdpSystem;

mod pledge;
mod raw;

// SAFETY: as getdtablecount(2) has it; the call takes nothing and tells how many descriptors are open.
unsafe extern "C" {
    safe fn getdtablecount() -> libc::c_int;
}

impl UdpSystem for Here {
    /// recvmmsg(2) and sendmmsg(2) since OpenBSD 7.2.
    type Mover = crate::udp::Mmsg;

    const RECEIVE_BUFFER_LIMIT: &'static str = bsd::RECEIVE_BUFFER_LIMIT;
    const LIST_SOCKETS: &'static str = "fstat";

    fn set_receive_buffer(socket: &OwnedFd, bytes: u32) -> io::Result<u32> {
        bsd::set_receive_buffer(socket, bytes)
    }
}

impl EchoSystem for Here {
    type RawSocket = raw::RawSocket;

    const RAW_IS_TUNNEL: bool = false;

    fn open_raw() -> Result<OwnedFd, OsError> {
        raw::open_raw()
    }

    /// A socket of its own: between bind(2) and the send nobody else may bind it.
    fn share_raw(_: &OwnedFd) -> Result<OwnedFd, OsError> {
        raw::open_raw()
    }

    fn may_open() -> Result<(), OsError> {
        pledge::may_open()
    }
}

impl TunnelSystem for Here {
    const FRAME: &'static [u8] = &family(libc::AF_INET6);
    const FORWARDING: &'static str = bsd::FORWARDING;

    /// The family is always before the packet here (`tun_input`, sys/net/if_tun.c).
    fn open_device() -> Result<(OwnedFd, String), OsError> {
        device::open().map(|(device, name)| (device.into(), name))
    }

    fn raise(interface: &str) -> Command {
        bsd::raise(interface)
    }

    fn forwards() -> io::Result<bool> {
        bsd::forwards()
    }
}

impl Privileges for Here {
    fn renounce(_: Pid, _: &mut Vec<OsError>) -> Result<(), OsError> {
        pledge::hide_files()
    }

    /// Neither unveil(2) nor pledge(2) can be read back: there is no proof to give.
    fn prove() -> Result<(), OsError> {
        Ok(())
    }

    /// The last step: the proof itself makes calls that end a process which promised this.
    fn seal() -> Result<(), OsError> {
        pledge::promise_worker()
    }

    fn restrict_monitor(files: &[(&Path, Access)]) -> Result<(), OsError> {
        pledge::restrict_monitor(files)
    }
}

impl LockDown for Here {
    /// pledge(2) has ended all of it, setrlimit(2) included.
    fn lock_down(_: Work, _: Alarm, _: &mut Vec<OsError>) -> Result<(), OsError> {
        Ok(())
    }
}

impl Descriptors for Here {
    fn open_descriptors() -> Vec<RawFd> {
        match usize::try_from(getdtablecount()) {
            Ok(count) => open_descriptors::first(count),
            Err(_) => open_descriptors::every_number(),
        }
    }
}

impl Rights for Here {
    fn may_create(path: &Path) -> Result<(), OsError> {
        pledge::may_create(path)
    }
}

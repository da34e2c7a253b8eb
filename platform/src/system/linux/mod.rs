//! Linux.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::Command;

use nix::unistd::Pid;
use socket2::Socket;

use super::Here;
use crate::accelerator::Accelerator;
#[cfg(has_xdp)]
use crate::accelerator::{Attachment, Counts, Place, Rules};
use crate::echo::EchoSystem;
use crate::echo::tunnel::TunnelSystem;
use crate::error::OsError;
use crate::process::confine::Privileges;
use crate::process::file_lock::FileLock;
use crate::process::lock_down::{Alarm, LockDown, Work, set_limits};
use crate::process::open_descriptors::{self, Descriptors};
use crate::process::rights::{Access, Rights};
use crate::udp::{NeighbourShare, Queues, UdpSystem};

mod file_lock;
mod landlock;
mod privileges;
mod queues;
mod raw;
mod receive_buffer;
mod reuseport;
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
))]
mod system_calls;
mod tunnel;
#[cfg(has_xdp)]
pub mod xdp;

impl UdpSystem for Here {
    type Mover = crate::udp::Mmsg;

    /// EAGAIN is a full send buffer here (net/core/sock.c, `sock_alloc_send_pskb`): to yield does not empty it.
    const SEND_RETRIES: usize = 0;

    const RECEIVE_BUFFER_LIMIT: &'static str = receive_buffer::LIMIT;
    const LIST_SOCKETS: &'static str = "ss -lunp";

    fn set_receive_buffer(socket: &OwnedFd, bytes: u32) -> io::Result<u32> {
        receive_buffer::set_receive_buffer(socket, bytes)
    }

    fn clear_dont_fragment(socket: &Socket) -> io::Result<()> {
        reuseport::clear_dont_fragment(socket)
    }

    fn queues(socket: BorrowedFd<'_>) -> Option<Queues> {
        queues::queues(socket)
    }

    fn open_beside(first: &OwnedFd, address: SocketAddrV4) -> Result<OwnedFd, OsError> {
        reuseport::open_beside(first, address)
    }
}

impl EchoSystem for Here {
    type RawSocket = raw::RawSocket;

    const RAW_IS_TUNNEL: bool = false;

    fn open_raw() -> Result<OwnedFd, OsError> {
        raw::open_raw()
    }

    fn admits_neighbours(raw: &Self::RawSocket) -> bool {
        let queues = queues::queues(raw);
        // All threads send through the same socket.
        queues.is_none_or(|queues| queues.admit_neighbours(NeighbourShare::WHOLE))
    }
}

impl TunnelSystem for Here {
    const FRAME: &'static [u8] = tunnel::FRAME;
    const FORWARDING: &'static str = tunnel::FORWARDING;

    fn open_device() -> Result<(OwnedFd, String), OsError> {
        tunnel::open_device()
    }

    fn raise(interface: &str) -> Command {
        tunnel::raise(interface)
    }

    fn forwards() -> io::Result<bool> {
        tunnel::forwards()
    }
}

impl Privileges for Here {
    fn single_thread(call: &'static str) -> Result<(), OsError> {
        privileges::single_thread(call)
    }

    fn renounce_as_root(missing: &mut Vec<OsError>) -> Result<(), OsError> {
        privileges::empty_bounding_set(missing)
    }

    fn renounce(parent: Pid, missing: &mut Vec<OsError>) -> Result<(), OsError> {
        privileges::die_with(parent)?;
        privileges::renounce()?;
        landlock::restrict(missing)
    }

    fn prove() -> Result<(), OsError> {
        privileges::prove()
    }

    fn restrict_monitor(_: &[(&Path, Access)]) -> Result<(), OsError> {
        privileges::restrict_monitor()
    }
}

impl LockDown for Here {
    fn lock_down(work: Work, alarm: Alarm, missing: &mut Vec<OsError>) -> Result<(), OsError> {
        set_limits(work)?;
        system_calls::forbid(work, alarm, missing)
    }
}

/// Without it: see platform/Cargo.toml.
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
mod system_calls {
    use super::{Alarm, OsError, Work};

    pub(super) fn forbid(_: Work, _: Alarm, missing: &mut Vec<OsError>) -> Result<(), OsError> {
        let why = "no list of system calls for this processor";
        missing.push(OsError::refused("seccomp", std::env::consts::ARCH, why));
        Ok(())
    }
}

impl Descriptors for Here {
    /// Where /proc is not mounted nobody can tell.
    fn open_descriptors() -> Vec<RawFd> {
        open_descriptors::listed("/proc/self/fd").unwrap_or_else(open_descriptors::every_number)
    }
}

impl Rights for Here {}

impl Accelerator for Here {
    const BUILT_IN: bool = cfg!(has_xdp);

    #[cfg(has_xdp)]
    fn attach(rules: &Rules, interface: &str) -> Result<Attachment, OsError> {
        xdp::attach(rules, interface)
    }

    #[cfg(has_xdp)]
    fn place(link: BorrowedFd<'_>) -> Result<Option<Place>, OsError> {
        xdp::place(link)
    }

    #[cfg(has_xdp)]
    fn counts(counters: BorrowedFd<'_>) -> Result<Counts, OsError> {
        xdp::counts(counters)
    }
}

impl FileLock for Here {
    fn lock_records(file: &impl AsFd) -> nix::Result<()> {
        file_lock::lock_records(file)
    }
}

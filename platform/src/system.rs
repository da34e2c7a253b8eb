//! What each operating system does in its own way: the file that joins it to the other wings. One is chosen when this is
//! compiled, and is [`Here`].

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

#[cfg(not(target_os = "linux"))]
use crate::accelerator::Accelerator;
use crate::error::OsError;
use crate::process::RootDirectory;
use crate::process::confine::{self, Confined, Identity, Privileges};
use crate::process::detach::{self, Starting};
use crate::process::file_lock;
use crate::process::inherit;
use crate::process::lock_down::{self, Alarm, Work};
use crate::process::rights::{Access, Rights};

#[cfg(not(target_os = "linux"))]
mod bsd;

// The other systems have nothing to add to flock(2).
#[cfg(not(target_os = "linux"))]
impl file_lock::FileLock for Here {}

#[cfg(not(target_os = "linux"))]
impl Accelerator for Here {}

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        mod linux;
        #[cfg(has_xdp)]
        pub use linux::xdp;
    } else if #[cfg(target_os = "freebsd")] {
        mod freebsd;
    } else if #[cfg(target_os = "openbsd")] {
        mod openbsd;
    } else if #[cfg(target_os = "netbsd")] {
        mod netbsd;
    } else if #[cfg(target_os = "dragonfly")] {
        mod dragonfly;
    } else if #[cfg(target_os = "macos")] {
        mod macos;
    } else {
        compile_error!("this system has no module in platform/src yet: see \"A new system\" in platform/src/lib.rs");
    }
}

/// The system that this was compiled for.
#[derive(Clone, Copy, Debug)]
pub struct Here;

/// [`confine::confine`] on this system.
///
/// # Errors
/// See there.
pub fn confine(identity: &Identity, root: &RootDirectory) -> Result<Confined, OsError> {
    confine::confine::<Here>(identity, root)
}

/// [`confine::confine_unprivileged`] on this system.
///
/// # Errors
/// See there.
pub fn confine_unprivileged() -> Result<Confined, OsError> {
    confine::confine_unprivileged::<Here>()
}

/// [`lock_down::lock_down`] on this system.
///
/// # Errors
/// See there.
pub fn lock_down(confined: &Confined, work: Work, alarm: Alarm) -> Result<Vec<OsError>, OsError> {
    lock_down::lock_down::<Here>(confined, work, alarm)
}

/// [`detach::detach`] on this system.
///
/// # Errors
/// See there.
pub fn detach() -> Result<Starting, OsError> {
    detach::detach::<Here>()
}

/// [`inherit::take_inherited`] on this system.
///
/// # Errors
/// See there.
pub fn take_inherited() -> Result<Vec<OwnedFd>, OsError> {
    inherit::take_inherited::<Here>()
}

/// [`file_lock::lock_file`] on this system.
///
/// # Errors
/// See there.
pub fn lock_file(file: &impl AsFd) -> io::Result<()> {
    file_lock::lock_file::<Here>(file)
}

/// Takes from `descriptor` what a worker does not use it for, on FreeBSD (cap_rights_limit(2)); nothing elsewhere. What moves
/// datagrams does it by itself; this is for other descriptors that a worker reads, writes or waits for.
///
/// # Errors
/// `cap_rights_limit`.
pub fn limit(descriptor: &impl AsFd) -> Result<(), OsError> {
    Here::limit(descriptor)
}

/// Whether this process may still make a socket at `path`. On OpenBSD not after [`restrict_monitor`]; elsewhere always.
///
/// # Errors
/// Says that it takes a restart.
pub fn may_create(path: &Path) -> Result<(), OsError> {
    Here::may_create(path)
}

/// Restricts the process that stays root to what it does after start-up, on OpenBSD (unveil(2), pledge(2)) and on Linux
/// (capabilities(7)); nothing elsewhere. To be called once everything is open and before the first worker starts. On OpenBSD
/// `files` are all that it sees from now on: names must be absolute; /dev/null and what looking up host names needs are always
/// there.
///
/// # Errors
/// `unveil`, `pledge`, `prctl` or `capset`.
pub fn restrict_monitor(files: &[(&Path, Access)]) -> Result<(), OsError> {
    Here::restrict_monitor(files)
}

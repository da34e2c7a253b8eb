//! The last step of a confined process, once all its threads run: nothing new is to be had that its work does not need, and a
//! call that it never makes ends it.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};

use super::confine::Confined;
use crate::error::OsError;

/// What is told, and to whom, when the process makes a call that is forbidden: `before`, the name of the call, `after`, in
/// one write. The process then ends.
#[derive(Debug)]
pub struct Alarm {
    /// Where it is written to.
    pub descriptor: OwnedFd,
    /// What goes in front of the name.
    pub before: Vec<u8>,
    /// What follows the name.
    pub after: Vec<u8>,
}

/// What a process goes on to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It moves datagrams through sockets that it has.
    Datagrams,
    /// It accepts connections at a socket that it has, up to [`Work::CONNECTIONS`] at a time, and answers them in one thread.
    Connections,
}

impl Work {
    /// Most connections at a time.
    pub const CONNECTIONS: usize = 8;

    /// The limit of descriptors: each new one has a lower number (getrlimit(2)). Poll(2) answers EINVAL where it is given more
    /// entries than that.
    fn descriptors(self) -> u64 {
        match self {
            // Three entries at most. Descriptors 0 to 2 are always open, so none is left to be had.
            Self::Datagrams => 3,
            // The standard three, the socket, the channel and its copy in the alarm, and the connections.
            Self::Connections => 6_u64.saturating_add(Self::CONNECTIONS as u64),
        }
    }
}

/// What a system can forbid a process whose threads all run.
pub trait LockDown {
    /// Forbids every call that such work does not make. What this system does not offer is added to `missing`. By default
    /// there is nothing but [`set_limits`].
    ///
    /// # Errors
    /// The call that failed.
    fn lock_down(work: Work, alarm: Alarm, _missing: &mut Vec<OsError>) -> Result<(), OsError> {
        drop(alarm);
        set_limits(work)
    }
}

/// Forbids this confined process, for good, what its work does not need. Its threads must exist, and whatever they allocate
/// from the system beside memory. Returns what this system does not offer; the process is confined without it.
///
/// # Errors
/// The call that failed.
pub fn lock_down<S: LockDown>(
    _: &Confined,
    work: Work,
    alarm: Alarm,
) -> Result<Vec<OsError>, OsError> {
    let mut missing = Vec::new();
    S::lock_down(work, alarm, &mut missing)?;
    Ok(missing)
}

/// No new process, no more descriptors than the work takes, no file written to, no core dump. RLIMIT_NPROC counts all processes of the user
/// (getrlimit(2)), so that no number but 0 means anything; threads that exist stay.
///
/// # Errors
/// `setrlimit`.
pub fn set_limits(work: Work) -> Result<(), OsError> {
    let limits = [
        #[cfg(not(any(target_os = "macos", target_os = "dragonfly")))]
        (Resource::RLIMIT_NPROC, "RLIMIT_NPROC", 0),
        (Resource::RLIMIT_CORE, "RLIMIT_CORE", 0),
        (Resource::RLIMIT_FSIZE, "RLIMIT_FSIZE", 0),
        (Resource::RLIMIT_NOFILE, "RLIMIT_NOFILE", work.descriptors()),
    ];
    for (resource, name, limit) in limits {
        limited(name, setrlimit(resource, limit as _, limit as _))?;
    }
    #[cfg(any(target_os = "macos", target_os = "dragonfly"))]
    limited("RLIMIT_NPROC", forbid_processes())?;
    Ok(())
}

fn limited(name: &'static str, outcome: nix::Result<()>) -> Result<(), OsError> {
    match outcome {
        // A filter of system calls, as those of systemd.exec(5): whoever made it has limits of its own.
        Ok(()) | Err(Errno::EPERM) => Ok(()),
        Err(error) => Err(OsError::new("setrlimit", name, error)),
    }
}

/// RLIMIT_NPROC, which nix has for neither of these systems.
#[cfg(any(target_os = "macos", target_os = "dragonfly"))]
fn forbid_processes() -> nix::Result<()> {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limits are only read, and outlive the call.
    Errno::result(unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const none) }).map(drop)
}

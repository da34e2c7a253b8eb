//! What a process can be kept from beside its ids, where the system can: rights of single descriptors, sight of files.

use std::os::fd::AsFd;
use std::path::Path;

use crate::{OsError, sys};

/// What the process that stays root does with a file after start-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Read,
    /// Looks at it and removes it.
    Remove,
    /// Executes it.
    Execute,
}

/// Takes from `descriptor` what a worker does not use it for, on FreeBSD (cap_rights_limit(2)); nothing elsewhere. What moves
/// datagrams does it by itself; this is for other descriptors that a worker reads, writes or waits for.
///
/// # Errors
/// `cap_rights_limit`.
pub fn limit(descriptor: &impl AsFd) -> Result<(), OsError> {
    sys::limit(descriptor)
}

/// Restricts the process that stays root to what it does after start-up, on OpenBSD (unveil(2), pledge(2)); nothing elsewhere.
/// To be called once everything is open and before the first worker starts: `files` are all that it sees from now on.
/// Names must be absolute; /dev/null and what looking up host names needs are always there.
///
/// # Errors
/// `unveil` or `pledge`.
pub fn restrict_monitor(files: &[(&Path, Access)]) -> Result<(), OsError> {
    cfg_if::cfg_if! {
        if #[cfg(target_os = "openbsd")] {
            sys::restrict_monitor(files)
        } else {
            let _ = files;
            Ok(())
        }
    }
}

/// Whether this process may still open a way out to native IPv6: on OpenBSD not after [`restrict_monitor`].
pub(crate) fn may_open_raw() -> Result<(), OsError> {
    cfg_if::cfg_if! {
        if #[cfg(target_os = "openbsd")] {
            sys::may_open_raw()
        } else {
            Ok(())
        }
    }
}

/// [`limit()`] on systems whose descriptors have no rights.
#[cfg(not(target_os = "freebsd"))]
pub(crate) fn nothing(_: &impl AsFd) -> Result<(), OsError> {
    Ok(())
}

//! How many files a process may have open.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::error::OsError;

/// A reload holds six descriptors a thread, and there are 64 threads at most: enough.
const ENOUGH: u64 = 1024;

/// Lets this process, and what it executes, have enough files open, or as many as it may: some systems start daemons with 128
/// (login.conf(5) of OpenBSD and NetBSD) or 256 (launchd(8) of macOS), and leave it to them to ask for more.
///
/// # Errors
/// `getrlimit` or `setrlimit`.
pub fn allow_files() -> Result<(), OsError> {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        // A filter of system calls, as those of systemd.exec(5): then whoever made it knows how many to allow.
        Err(Errno::EPERM) => return Ok(()),
        Err(error) => return Err(OsError::new("getrlimit", "RLIMIT_NOFILE", error)),
    };
    let wanted = hard.min(ENOUGH as _);
    if soft >= wanted {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
        .map_err(|error| OsError::new("setrlimit", "RLIMIT_NOFILE", error))
}

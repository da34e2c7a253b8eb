//! Record locks: flock(2) does not see those of fcntl(2), which the C server takes.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// Takes a lock that belongs to the opening of the file: one of the process would be lost as soon as it closes any other
/// descriptor of the file, and would not survive fork(2) (fcntl_locking(2)).
pub(super) fn lock_records(file: &impl AsFd) -> nix::Result<()> {
    // SAFETY: a flock is integers, for which all-zero is a value. Length 0 is all of the file, l_pid must be 0.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock)) {
        // Sandboxes with a kernel of their own do not know it. They have no C server either.
        Ok(_) | Err(Errno::EINVAL) => Ok(()),
        Err(error) => Err(error),
    }
}

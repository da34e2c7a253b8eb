//! The lock on a file that one process holds for as long as it lives.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// What a system knows beside flock(2).
pub trait FileLock {
    /// Takes the lock of fcntl(2) on all of the file, too, where neither lock sees the other. By default they do, as on the
    /// BSDs and macOS, where a process that has the one would wait for itself to have the other.
    ///
    /// # Errors
    /// `EAGAIN` or `EACCES` where another process has it; of fcntl(2).
    fn lock_records(_file: &impl AsFd) -> nix::Result<()> {
        Ok(())
    }
}

/// Locks a file that is open for writing against every process that asks by flock(2) or by fcntl(2), and does not wait. The
/// lock ends with the last descriptor of this opening of the file; nothing that can fail ends it.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] where another process has a lock; of flock(2) and fcntl(2).
pub fn lock_file<S: FileLock>(file: &impl AsFd) -> io::Result<()> {
    let number = file.as_fd().as_raw_fd();
    // SAFETY: flock takes no pointer, and the descriptor is open for as long as `file` is borrowed.
    Errno::result(unsafe { libc::flock(number, libc::LOCK_EX | libc::LOCK_NB) })?;
    match S::lock_records(file) {
        // Which of the two it is differs between systems (fcntl(2)).
        Err(Errno::EAGAIN | Errno::EACCES) => Err(Errno::EWOULDBLOCK.into()),
        outcome => Ok(outcome?),
    }
}

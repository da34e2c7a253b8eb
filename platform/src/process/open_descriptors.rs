//! Which descriptors of this process are open.

use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::fcntl::FdFlag;

/// What a system tells of the descriptors of this process.
pub trait Descriptors {
    /// The numbers of all open descriptors, or of more than those. By default every number below 65,536: a shell or a boot
    /// script hands on low ones, and a system may allow a thousand million.
    fn open_descriptors() -> Vec<RawFd> {
        every_number()
    }
}

/// Every number below 65,536.
pub(crate) fn every_number() -> Vec<RawFd> {
    (0..1 << 16).collect()
}

/// The numbers in a directory that lists the open descriptors, that of the directory itself among them, which is closed when
/// this returns; nothing where it cannot be read.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) fn listed(directory: &str) -> Option<Vec<RawFd>> {
    let entries = std::fs::read_dir(directory).ok()?;
    let numbers = entries.map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.collect()
}

/// The first `count` open descriptors, below 65,536 in any case: another thread may close one meanwhile.
#[cfg(any(target_os = "freebsd", target_os = "openbsd"))]
pub(crate) fn first(count: usize) -> Vec<RawFd> {
    let numbers = every_number().into_iter();
    let open = numbers.filter(|number| flags(*number).is_ok());
    open.take(count).collect()
}

/// The flags of the descriptor of this number, if it is open.
pub(crate) fn flags(number: RawFd) -> Result<FdFlag, Errno> {
    // SAFETY: F_GETFD changes nothing and may be asked about any number.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    Errno::result(flags).map(FdFlag::from_bits_retain)
}

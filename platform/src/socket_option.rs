//! Socket options that neither socket2 nor nix knows.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// Sets the option `name` of protocol `level`, both as in setsockopt(2), to `value`.
///
/// # Errors
/// `setsockopt`.
pub(crate) fn set(
    socket: &impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    set_bytes(socket, level, name, &value.to_ne_bytes())
}

/// Sets an option whose value is not an int.
///
/// # Errors
/// `setsockopt`.
pub(crate) fn set_bytes<const N: usize>(
    socket: &impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &[u8; N],
) -> io::Result<()> {
    let socket = socket.as_fd().as_raw_fd();
    let length = const { N as libc::socklen_t };
    // SAFETY: the pointer is to so many bytes that outlive the call; the kernel copies them, whatever their alignment.
    let outcome = unsafe { libc::setsockopt(socket, level, name, value.as_ptr().cast(), length) };
    Errno::result(outcome)?;
    Ok(())
}

/// The option `name` of `level`, which is a row of `N` words, or of fewer: then the last ones are 0.
///
/// # Errors
/// `getsockopt`.
#[cfg(target_os = "linux")]
pub(crate) fn words<const N: usize>(
    socket: &impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
) -> io::Result<[u32; N]> {
    let mut words = [0_u32; N];
    let mut length = const { (N * size_of::<u32>()) as libc::socklen_t };
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the pointers are to `words` and its length in bytes, past which the kernel does not write.
    let outcome = unsafe {
        libc::getsockopt(
            socket,
            level,
            name,
            words.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    Errno::result(outcome)?;
    Ok(words)
}

//! An interface that holds an XDP program for as long as a descriptor is open (`BPF_LINK_CREATE`, kernel/bpf/syscall.c).
//!
//! aya would fall back on netlink, whose programs stay when everybody who knows of them is gone.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use crate::accelerator::Mode;

/// `BPF_LINK_CREATE` of `enum bpf_cmd` (include/uapi/linux/bpf.h).
const LINK_CREATE: libc::c_int = 28;
/// `BPF_XDP` of `enum bpf_attach_type` there.
const XDP: u32 = 37;
/// `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE` (include/uapi/linux/if_link.h).
const FLAGS: [(Mode, u32); 2] = [(Mode::Native, 1 << 2), (Mode::Generic, 1 << 1)];

/// The part `link_create` of `union bpf_attr` that is not optional.
#[repr(C)]
struct LinkCreate {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// Attaches a program to the interface of this index: in the driver, or behind it where that has no place for it.
///
/// # Errors
/// Of bpf(2), about the driver's place unless that has none.
pub(super) fn create(program: BorrowedFd<'_>, interface: u32) -> io::Result<(Mode, OwnedFd)> {
    let [native, generic] = FLAGS;
    match create_as(program, interface, native) {
        // Something else is there, or nothing may be.
        Err(
            error @ (Errno::EBUSY | Errno::EEXIST | Errno::EPERM | Errno::EACCES | Errno::ENODEV),
        ) => Err(error.into()),
        Err(_) => create_as(program, interface, generic).map_err(io::Error::from),
        Ok(link) => Ok(link),
    }
}

fn create_as(
    program: BorrowedFd<'_>,
    interface: u32,
    (mode, flags): (Mode, u32),
) -> nix::Result<(Mode, OwnedFd)> {
    let attributes = LinkCreate {
        program: number(program.as_raw_fd())?,
        interface,
        attach_type: XDP,
        flags,
    };
    // SAFETY: the kernel reads as many octets of the attributes as it is told of, and writes none.
    let created = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            LINK_CREATE,
            &raw const attributes,
            size_of::<LinkCreate>(),
        )
    };
    let link = RawFd::try_from(Errno::result(created)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: bpf(2) has just opened this descriptor, close-on-exec, and nobody else knows of it.
    Ok((mode, unsafe { OwnedFd::from_raw_fd(link) }))
}

fn number(descriptor: RawFd) -> nix::Result<u32> {
    u32::try_from(descriptor).map_err(|_| Errno::EBADF)
}

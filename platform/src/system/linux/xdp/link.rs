//! An interface that holds an XDP program for as long as a descriptor is open (`BPF_LINK_CREATE`, kernel/bpf/syscall.c).
//!
//! aya would fall back on netlink, whose programs stay when everybody who knows of them is gone.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use crate::accelerator::Mode;

/// `BPF_LINK_CREATE` of `enum bpf_cmd` (include/uapi/linux/bpf.h).
const LINK_CREATE: libc::c_int = 28;
/// `BPF_OBJ_GET_INFO_BY_FD` there.
const GET_INFO: libc::c_int = 15;
/// `BPF_XDP` of `enum bpf_attach_type` there.
const XDP: u32 = 37;

/// The part `link_create` of `union bpf_attr` that is not optional.
#[repr(C)]
struct LinkCreate {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// The part `info` of it.
#[repr(C)]
struct GetInfo {
    link: u32,
    length: u32,
    info: u64,
}

/// The beginning of a `struct bpf_link_info` of an XDP program.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    padding: u32,
    interface: u32,
    rest: u32,
}

/// The index of the interface that a link holds a program at.
///
/// # Errors
/// Of bpf(2).
pub(super) fn interface(link: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let mut info = LinkInfo::default();
    let attributes = GetInfo {
        link: number(link.as_raw_fd())?,
        length: size_of::<LinkInfo>() as u32,
        info: (&raw mut info).expose_provenance() as u64,
    };
    // SAFETY: the kernel reads as many octets of the attributes as it is told of, and writes no more of `info` than its length.
    let told = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            GET_INFO,
            &raw const attributes,
            size_of::<GetInfo>(),
        )
    };
    Errno::result(told)?;
    // Zero is none (`bpf_xdp_link_fill_link_info`, net/core/dev.c).
    Ok(Some(info.interface).filter(|index| *index != 0))
}

/// Attaches a program to the interface of this index in the first of these modes that the driver has a place for.
///
/// # Errors
/// Of bpf(2), about the last mode that was tried.
pub(super) fn create(
    program: BorrowedFd<'_>,
    interface: u32,
    modes: &[Mode],
) -> io::Result<(Mode, OwnedFd)> {
    let mut outcome = Err(Errno::EINVAL);
    for mode in modes {
        outcome = create_as(program, interface, *mode);
        match outcome {
            // Something else is there, or nothing may be: so it is in every mode.
            Ok(_)
            | Err(Errno::EBUSY | Errno::EEXIST | Errno::EPERM | Errno::EACCES | Errno::ENODEV) => {
                break;
            }
            Err(_) => {}
        }
    }
    Ok(outcome?)
}

fn create_as(program: BorrowedFd<'_>, interface: u32, mode: Mode) -> nix::Result<(Mode, OwnedFd)> {
    let attributes = LinkCreate {
        program: number(program.as_raw_fd())?,
        interface,
        attach_type: XDP,
        flags: flag(mode),
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

/// `XDP_FLAGS_DRV_MODE` or `XDP_FLAGS_SKB_MODE` (include/uapi/linux/if_link.h).
fn flag(mode: Mode) -> u32 {
    match mode {
        Mode::Native => 1 << 2,
        Mode::Generic => 1 << 1,
    }
}

fn number(descriptor: RawFd) -> nix::Result<u32> {
    u32::try_from(descriptor).map_err(|_| Errno::EBADF)
}

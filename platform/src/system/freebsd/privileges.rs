//! What FreeBSD knows beside ids: rights of descriptors, new privileges, tracing.
//!
//! Capability mode is no option: it forbids every send that names an address.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use libc::{c_int, c_void};
use nix::errno::Errno;

use crate::error::OsError;
use crate::process::lock_down::Work;
use crate::process::open_descriptors::Descriptors;
use crate::system::Here;

/// What a worker does with the descriptors it works on (rights(4)): a send to an address is CAP_SEND and CAP_CONNECT
/// (`kern_sendit`, sys/kern/uipc_syscalls.c), and what a socket has dropped is an option of it.
const RIGHTS: u64 = libc::CAP_RECV
    | libc::CAP_SEND
    | libc::CAP_CONNECT
    | libc::CAP_FCNTL
    | libc::CAP_GETSOCKNAME
    | libc::CAP_GETSOCKOPT;

/// What a process does that answers connections, which have the rights of the socket that they are accepted at (`kern_accept4`,
/// sys/kern/uipc_syscalls.c).
const CONNECTIONS: u64 =
    libc::CAP_RECV | libc::CAP_SEND | libc::CAP_ACCEPT | libc::CAP_SHUTDOWN | libc::CAP_FCNTL;

/// What it does to wait: CAP_EVENT of what a kqueue watches, CAP_KQUEUE of the kqueue, which nothing else has a use for. They are of
/// another word than the rest, to which they cannot be joined.
const WAITING: u64 = libc::CAP_EVENT | libc::CAP_KQUEUE;

/// What a worker does with the standard three: one of them may be its log.
const STANDARD: u64 = libc::CAP_READ | libc::CAP_WRITE | libc::CAP_FSTAT;

/// Takes every right of `descriptor` but those that moving datagrams needs. Its copies made from now on have no more.
pub(super) fn limit(descriptor: &impl AsFd) -> Result<(), OsError> {
    limit_to(descriptor, RIGHTS)
}

/// Does that to every open descriptor but the standard three, among them what libraries hold: the socket of syslog(3), the
/// kqueue of the reactor. Those that were limited before have no other rights.
pub(super) fn limit_all(work: Work) -> Result<(), OsError> {
    let rights = match work {
        Work::Datagrams => RIGHTS,
        Work::Connections => CONNECTIONS,
    };
    let open = Here::open_descriptors().into_iter();
    open.filter(|number| *number > libc::STDERR_FILENO)
        .try_for_each(|number| limit_number(number, rights))
}

/// Gives up for good: gaining privileges by exec, being traced or dumped; and rights of the standard descriptors.
pub(super) fn renounce() -> Result<(), OsError> {
    control(
        "PROC_NO_NEW_PRIVS_CTL",
        libc::PROC_NO_NEW_PRIVS_CTL,
        libc::PROC_NO_NEW_PRIVS_ENABLE,
    )?;
    control(
        "PROC_TRACE_CTL",
        libc::PROC_TRACE_CTL,
        libc::PROC_TRACE_CTL_DISABLE,
    )?;
    limit_to(&std::io::stdin(), STANDARD)?;
    limit_to(&std::io::stdout(), STANDARD)?;
    limit_to(&std::io::stderr(), STANDARD)
}

/// Reads back what [`renounce`] did.
pub(super) fn prove() -> Result<(), OsError> {
    let told = control(
        "PROC_NO_NEW_PRIVS_STATUS",
        libc::PROC_NO_NEW_PRIVS_STATUS,
        0,
    )?;
    if told != libc::PROC_NO_NEW_PRIVS_ENABLE {
        return Err(OsError::refused(
            "procctl",
            "PROC_NO_NEW_PRIVS_STATUS",
            "new privileges are still allowed",
        ));
    }
    match control("PROC_TRACE_STATUS", libc::PROC_TRACE_STATUS, 0)? {
        // procctl(2): -1 says that tracing is refused.
        -1 => Ok(()),
        _ => Err(OsError::refused(
            "procctl",
            "PROC_TRACE_STATUS",
            "tracing is still allowed",
        )),
    }
}

fn limit_to(descriptor: &impl AsFd, first: u64) -> Result<(), OsError> {
    limit_number(descriptor.as_fd().as_raw_fd(), first)
}

fn limit_number(descriptor: RawFd, first: u64) -> Result<(), OsError> {
    // SAFETY: cap_rights_t is integers, for which all-zero is a value.
    let mut rights: libc::cap_rights_t = unsafe { std::mem::zeroed() };
    // SAFETY: the list is of 64-bit rights and ends with zero, as cap_rights_init(3) demands.
    unsafe {
        libc::__cap_rights_init(
            libc::CAP_RIGHTS_VERSION,
            &raw mut rights,
            first,
            WAITING,
            0_u64,
        );
    }
    // SAFETY: the rights were initialised, and are only read.
    let outcome = unsafe { libc::cap_rights_limit(descriptor, &raw const rights) };
    match Errno::result(outcome) {
        // A kernel without Capsicum (capsicum(4)), or a descriptor that is closed: a standard one that whoever started us
        // left so, or one that was open a moment ago.
        Ok(_) | Err(Errno::ENOSYS | Errno::EBADF) => Ok(()),
        Err(error) => Err(OsError::new("cap_rights_limit", descriptor, error)),
    }
}

/// procctl(2) on this process, with an int that is given or told.
fn control(name: &'static str, command: c_int, mut value: c_int) -> Result<c_int, OsError> {
    let data = (&raw mut value).cast::<c_void>();
    let process = std::process::id().into();
    // SAFETY: each of the commands above reads or writes one int, and `value` outlives the call.
    let outcome = unsafe { libc::procctl(libc::P_PID, process, command, data) };
    Errno::result(outcome).map_err(|error| OsError::new("procctl", name, error))?;
    Ok(value)
}

//! The system calls that a confined process makes once all its threads run, and the filter that ends it at any other (seccomp(2)).

use std::ffi::c_int;
use std::mem;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::ptr;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, signal};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

use crate::error::OsError;
use crate::process::lock_down::{Alarm, Work};

/// Calls that a worker may make with any arguments: datagrams, the control socket, waiting, memory that is given back, threads
/// that end. `recvfrom` and `sendto` are what read and write a socket in the standard library.
const DATAGRAMS: &[libc::c_long] = &[
    libc::SYS_recvmmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_epoll_ctl,
    libc::SYS_timerfd_settime,
    libc::SYS_futex,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_getpid,
    libc::SYS_gettid,
    // A thread that has been made and has not come to its loop yet, as the reactor's may be.
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_sched_getaffinity,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// The same of an exporter, which has one thread and no runtime: connections, the control socket, poll(2), memory.
const CONNECTIONS: &[libc::c_long] = &[
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_shutdown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Calls that may not make memory executable: the third argument of both is PROT_*.
const NOT_EXECUTABLE: [libc::c_long; 2] = [libc::SYS_mmap, libc::SYS_mprotect];

/// Forbids every other call, in all threads at once.
pub(super) fn forbid(work: Work, alarm: Alarm, missing: &mut Vec<OsError>) -> Result<(), OsError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| refused(&error))?;
    let program = program(work, arch).map_err(|error| refused(&error))?;
    catch(alarm)?;
    fault_plainly()?;
    match apply_filter_all_threads(&program) {
        Ok(()) => Ok(()),
        // A kernel without filters, or a filter around this process that does not let it have one of its own.
        Err(seccompiler::Error::Seccomp(error))
            if matches!(
                error.raw_os_error().map(Errno::from_raw),
                Some(Errno::EPERM | Errno::EACCES | Errno::ENOSYS | Errno::EINVAL)
            ) =>
        {
            missing.push(OsError::new("seccomp", "", error));
            Ok(())
        }
        Err(error) => Err(refused(&error)),
    }
}

fn program(work: Work, arch: TargetArch) -> Result<BpfProgram, seccompiler::BackendError> {
    let any = match work {
        Work::Datagrams => DATAGRAMS,
        Work::Connections => CONNECTIONS,
    };
    let mut rules: Vec<_> = any.iter().map(|call| (*call, Vec::new())).collect();
    for call in NOT_EXECUTABLE {
        let bits = SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64);
        rules.push((call, vec![argument(2, bits, 0)?]));
    }
    // With debug assertions the standard library looks whether a descriptor is open before it closes it.
    let mut fcntl = vec![argument(1, SeccompCmpOp::Eq, libc::F_GETFD as u64)?];
    match work {
        Work::Datagrams => {
            // What else this socket tells could be asked, too, but nobody does.
            let name = argument(2, SeccompCmpOp::Eq, libc::SO_MEMINFO as u64)?;
            rules.push((libc::SYS_getsockopt, vec![name]));
            // A new thread gives itself its name.
            let name = argument(0, SeccompCmpOp::Eq, libc::PR_SET_NAME as u64)?;
            rules.push((libc::SYS_prctl, vec![name]));
        }
        // A connection is made non-blocking.
        Work::Connections => fcntl.push(argument(1, SeccompCmpOp::Eq, libc::F_SETFL as u64)?),
    }
    rules.push((libc::SYS_fcntl, fcntl));
    // abort(3), at the end of a panic, signals its own thread.
    let own = u64::from(std::process::id());
    rules.push((libc::SYS_tgkill, vec![argument(0, SeccompCmpOp::Eq, own)?]));
    let filter = SeccompFilter::new(
        rules.into_iter().collect(),
        SeccompAction::Trap,
        SeccompAction::Allow,
        arch,
    )?;
    filter.try_into()
}

fn argument(
    number: u8,
    compare: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(number, SeccompCmpArgLen::Dword, compare, value)?;
    SeccompRule::new(vec![condition])
}

fn refused(error: &dyn std::fmt::Display) -> OsError {
    OsError::new("seccomp", "", std::io::Error::other(error.to_string()))
}

/// What [`tell`] tells; a signal handler is given nothing else.
static ALARM: OnceLock<(RawFd, Vec<u8>, Vec<u8>)> = OnceLock::new();

/// Has SIGSYS, which the filter raises, tell the alarm and end the process.
fn catch(alarm: Alarm) -> Result<(), OsError> {
    // It stays open for as long as the process lives.
    let alarm = (alarm.descriptor.into_raw_fd(), alarm.before, alarm.after);
    if ALARM.set(alarm).is_err() {
        return Err(OsError::refused("lock down", "", "this was done before"));
    }
    // SAFETY: a sigaction is integers and a pointer, for which all-zero is a value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = tell as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, and calls nothing but write(2) and _exit(2), which
    // signal-safety(7) lists.
    let outcome = unsafe { libc::sigaction(libc::SIGSYS, &raw const action, ptr::null_mut()) };
    Errno::result(outcome).map_err(|error| OsError::new("sigaction", "SIGSYS", error))?;
    Ok(())
}

/// Lets a memory fault end the process by its signal, which is what the monitor is then told. The handlers of the standard library
/// look whether a stack has overflowed, and call sigaction(2) where none has: every other fault would be told as that call.
fn fault_plainly() -> Result<(), OsError> {
    for fault in [Signal::SIGSEGV, Signal::SIGBUS] {
        // SAFETY: the default action runs no code of this process.
        let outcome = unsafe { signal(fault, SigHandler::SigDfl) };
        outcome.map_err(|error| OsError::new("sigaction", fault, error))?;
    }
    Ok(())
}

/// Longest alarm, in bytes; what is longer is cut.
const LONGEST: usize = 512;

/// Exit status of a process that made a forbidden call.
const FORBIDDEN: c_int = 71;

extern "C" fn tell(_: c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    if let Some((descriptor, before, after)) = ALARM.get() {
        // SAFETY: the kernel gives a handler with SA_SIGINFO a valid siginfo_t.
        let call = unsafe { number(info) };
        let name = usize::try_from(call).ok().and_then(syscalls::Sysno::new);
        let name = name.map_or("unknown", |call| call.name());
        let mut line = [0_u8; LONGEST];
        let mut length = 0_usize;
        let bytes = before.iter().chain(name.as_bytes()).chain(after);
        for (to, from) in line.iter_mut().zip(bytes) {
            *to = *from;
            length = length.saturating_add(1);
        }
        // SAFETY: the buffer holds `length` bytes and is only read.
        unsafe { libc::write(descriptor.as_raw_fd(), line.as_ptr().cast(), length) };
    }
    // SAFETY: _exit has no demands.
    unsafe { libc::_exit(FORBIDDEN) }
}

/// The number of the call that raised SIGSYS: `si_syscall`, behind the call's address (sigaction(2); `_sigsys` in
/// include/uapi/asm-generic/siginfo.h of the kernel), which the libc crate does not name.
///
/// # Safety
/// `info` is that of a SIGSYS.
unsafe fn number(info: *const libc::siginfo_t) -> c_int {
    #[repr(C)]
    struct Sigsys {
        signo: c_int,
        errno: c_int,
        code: c_int,
        address: *mut libc::c_void,
        call: c_int,
    }
    // SAFETY: the caller's duty; the fields stand within a siginfo_t, which is 128 bytes long.
    unsafe { (*info.cast::<Sigsys>()).call }
}

//! What OpenBSD knows beside ids: unveil(2) and pledge(2).

use std::ffi::{CStr, CString};
use std::fmt;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

use crate::error::OsError;
use crate::process::rights::Access;

/// A worker waits, receives and sends on what it has inherited, and binds its raw socket; an exporter waits, accepts, receives and
/// sends on what it has inherited (accept(2) is in `inet`).
const WORKER: &CStr = c"stdio inet";

/// A monitor opens UDP sockets and one that listens for exporters, and accepts who asks for statistics (inet), starts and ends workers and who reads the configuration
/// (proc exec), looks at and removes its process-id file and its socket (rpath cpath), and unlocks the file (flock). What it executes starts without promises and with all files in
/// sight (sys/kern/kern_exec.c, `sys_execve`): a worker makes its own.
const MONITOR: &CStr = c"stdio rpath cpath flock inet proc exec";

/// Set once this process has promised what a monitor needs.
static RESTRICTED: AtomicBool = AtomicBool::new(false);

/// Hides all files.
pub(super) fn hide_files() -> Result<(), OsError> {
    unveil(c"/", c"")?;
    lock()
}

/// Promises what a worker needs, for good.
pub(super) fn promise_worker() -> Result<(), OsError> {
    promise(WORKER)
}

/// Lets the process that stays root see `files` alone, and promises what it needs to reload, replace and stop.
pub(super) fn restrict_monitor(files: &[(&Path, Access)]) -> Result<(), OsError> {
    for (path, access) in files {
        let access = match access {
            Access::Read => c"r",
            Access::Remove => c"rc",
            Access::Execute => c"rx",
        };
        let path = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| OsError::new("unveil", path.display(), Errno::EINVAL))?;
        match unveil(&path, access) {
            // In a directory that is not there either: nothing to see.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            outcome => outcome?,
        }
    }
    lock()?;
    RESTRICTED.store(true, Ordering::Relaxed);
    promise(MONITOR)
}

/// Whether this process may still open a way out to native IPv6. Once it has promised, the kernel would end it for asking:
/// setting ICMP6_FILTER is in no promise (sys/kern/kern_pledge.c, `pledge_sockopt`), nor is reading whether the host forwards
/// (`pledge_sysctl`).
pub(super) fn may_open() -> Result<(), OsError> {
    unless_restricted("open", &"another path to native IPv6")
}

/// Whether it may still make a socket at a path. Once it has promised, the kernel would end it for asking: socket(2) of the
/// domain unix is in the promise of that name alone (`pledge_socket`), which accept(2) does not need beside `inet`. And nothing
/// more can be unveiled.
pub(super) fn may_create(path: &Path) -> Result<(), OsError> {
    unless_restricted("bind", &path.display())
}

fn unless_restricted(call: &'static str, object: &dyn fmt::Display) -> Result<(), OsError> {
    match RESTRICTED.load(Ordering::Relaxed) {
        false => Ok(()),
        true => Err(
            OsError::refused(call, object, "not possible after pledge(2)")
                .remedy("restart the server"),
        ),
    }
}

fn unveil(path: &CStr, access: &CStr) -> Result<(), OsError> {
    // SAFETY: both are strings that end with a zero and are only read.
    let outcome = unsafe { libc::unveil(path.as_ptr(), access.as_ptr()) };
    let outcome = Errno::result(outcome).map(drop);
    outcome.map_err(|error| OsError::new("unveil", path.to_string_lossy(), error))
}

/// From now on nothing more can be unveiled.
fn lock() -> Result<(), OsError> {
    // SAFETY: two null pointers are how unveil(2) is told so.
    let outcome = unsafe { libc::unveil(ptr::null(), ptr::null()) };
    let outcome = Errno::result(outcome).map(drop);
    outcome.map_err(|error| OsError::new("unveil", "", error))
}

fn promise(promises: &CStr) -> Result<(), OsError> {
    // SAFETY: a string that ends with a zero and is only read; a null pointer promises nothing for after exec.
    let outcome = unsafe { libc::pledge(promises.as_ptr(), ptr::null()) };
    let outcome = Errno::result(outcome).map(drop);
    outcome.map_err(|error| OsError::new("pledge", promises.to_string_lossy(), error))
}

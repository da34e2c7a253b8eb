//! What Linux knows beside ids: capabilities, new privileges, tracing.

use caps::CapSet;
use nix::sys::prctl;

use crate::error::OsError;

/// Without CAP_SETPCAP the bounding set cannot be emptied; after PR_SET_NO_NEW_PRIVS it has nothing left to bound.
const SETS: [CapSet; 4] = [
    CapSet::Ambient,
    CapSet::Effective,
    CapSet::Permitted,
    CapSet::Inheritable,
];

/// Gives up for good: gaining privileges by exec, being traced or dumped by others of the same user, every capability.
pub(super) fn renounce() -> Result<(), OsError> {
    prctl::set_no_new_privs()
        .map_err(|error| OsError::new("prctl", "PR_SET_NO_NEW_PRIVS", error))?;
    prctl::set_dumpable(false).map_err(|error| OsError::new("prctl", "PR_SET_DUMPABLE", error))?;
    for set in SETS {
        caps::clear(None, set)
            .map_err(|error| OsError::new("capset", format!("{set:?}"), to_io(error)))?;
    }
    Ok(())
}

/// Reads back what [`renounce`] did.
pub(super) fn prove() -> Result<(), OsError> {
    for set in SETS {
        let left = caps::read(None, set)
            .map_err(|error| OsError::new("capget", format!("{set:?}"), to_io(error)))?;
        if !left.is_empty() {
            return Err(OsError::refused(
                "capget",
                format!("{set:?}"),
                "capabilities are left",
            ));
        }
    }
    match prctl::get_no_new_privs() {
        Ok(true) => Ok(()),
        Ok(false) => Err(OsError::refused(
            "prctl",
            "PR_GET_NO_NEW_PRIVS",
            "new privileges are not refused",
        )),
        Err(error) => Err(OsError::new("prctl", "PR_GET_NO_NEW_PRIVS", error)),
    }
}

/// Refuses to go on when the process has a second thread: capabilities and PR_SET_NO_NEW_PRIVS are each thread's own
/// (capabilities(7)), and fork(2) copies one thread only. Where /proc is not mounted nobody can tell.
pub(super) fn single_thread(call: &'static str) -> Result<(), OsError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    match threads {
        0 | 1 => Ok(()),
        _ => Err(OsError::refused(
            call,
            "",
            "the process already has threads",
        )),
    }
}

fn to_io(error: caps::errors::CapsError) -> std::io::Error {
    std::io::Error::other(error.to_string())
}

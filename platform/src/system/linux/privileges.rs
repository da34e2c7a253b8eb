//! What Linux knows beside ids: capabilities, new privileges, tracing.

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

use crate::Here;
use crate::accelerator::Accelerator;
use crate::error::OsError;

/// All but the bounding set, which only a process with CAP_SETPCAP can empty.
const SETS: [CapSet; 4] = [
    CapSet::Ambient,
    CapSet::Effective,
    CapSet::Permitted,
    CapSet::Inheritable,
];

/// What a monitor needs after start-up: to start a worker that becomes another user in another root directory with an empty
/// bounding set, to end it, to open other ways out to native IPv6 at a reload with the buffers asked for, to read a
/// configuration and to remove a pid file whoever owns the directory (capabilities(7)).
const MONITOR: [Capability; 9] = [
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_SETPCAP,
    Capability::CAP_KILL,
    Capability::CAP_NET_RAW,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_DAC_OVERRIDE,
];

/// What it needs beside these where programs can be loaded into the network driver: to have that done, and to read what they
/// have counted (bpf(2)). Without CAP_PERFMON, the kernel's verifier lets no program add a number in a register to a pointer
/// into a packet (`sanitize_ptr_alu`, kernel/bpf/verifier.c), so none could find what follows a header of any length.
const ACCELERATOR: [Capability; 2] = [Capability::CAP_BPF, Capability::CAP_PERFMON];

/// Gives up for good what a monitor does not need, and gaining more by exec. What it was not given it does not get.
pub(super) fn restrict_monitor() -> Result<(), OsError> {
    prctl::set_no_new_privs()
        .map_err(|error| OsError::new("prctl", "PR_SET_NO_NEW_PRIVS", error))?;
    let accelerator = ACCELERATOR.into_iter().filter(|_| Here::BUILT_IN);
    let needed: CapsHashSet = MONITOR.into_iter().chain(accelerator).collect();
    // In this order: what is effective must be permitted.
    for set in [
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        let failed = |error| OsError::new("capset", format!("{set:?}"), to_io(error));
        let held = caps::read(None, set).map_err(failed)?;
        let kept: CapsHashSet = held.intersection(&needed).copied().collect();
        if kept != held {
            caps::set(None, set, &kept).map_err(failed)?;
        }
    }
    Ok(())
}

/// Leaves nothing that an exec could give back. Wants CAP_SETPCAP; after PR_SET_NO_NEW_PRIVS the set has little left to
/// bound, so who lacks it goes on.
pub(super) fn empty_bounding_set(missing: &mut Vec<OsError>) -> Result<(), OsError> {
    let failed = |error| OsError::new("prctl", "PR_CAPBSET_DROP", to_io(error));
    let may = caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(failed)?;
    if may {
        caps::clear(None, CapSet::Bounding).map_err(failed)
    } else {
        let lacks = OsError::refused("prctl", "PR_CAPBSET_DROP", "not permitted");
        missing.push(lacks.remedy("give the service CAP_SETPCAP"));
        Ok(())
    }
}

/// Has the kernel kill this process when the thread that started it ends. To be called after the ids have changed, which
/// clears it (PR_SET_PDEATHSIG(2const)).
pub(super) fn die_with(parent: Pid) -> Result<(), OsError> {
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|error| OsError::new("prctl", "PR_SET_PDEATHSIG", error))?;
    // It may have ended before.
    match getppid() == parent {
        true => Ok(()),
        false => Err(OsError::refused("confine", "", "the monitor is gone")),
    }
}

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
                "capabilities remain",
            ));
        }
    }
    match prctl::get_no_new_privs() {
        Ok(true) => Ok(()),
        Ok(false) => Err(OsError::refused(
            "prctl",
            "PR_GET_NO_NEW_PRIVS",
            "new privileges are still allowed",
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

//! Giving up root: groups, ids, root directory, and the proof that none of it comes back.

use std::fmt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{Gid, Pid, Uid, getppid, setegid, seteuid, setgid, setuid};

use super::rights::Access;
use super::{RootDirectory, ids};
use crate::error::OsError;

/// What a system knows beside ids, root directory and groups. What it leaves out does nothing.
pub trait Privileges {
    /// Refuses `call` where the process has a second thread, if the system tells.
    ///
    /// # Errors
    /// That there is one.
    fn single_thread(_call: &'static str) -> Result<(), OsError> {
        Ok(())
    }

    /// Gives up, while the process is still root, what only root can. What cannot be had here is added to `missing`.
    ///
    /// # Errors
    /// The call that failed.
    fn renounce_as_root(_missing: &mut Vec<OsError>) -> Result<(), OsError> {
        Ok(())
    }

    /// Gives up, for good, what privilege the system knows beside ids; `parent` is the process that started this one. What
    /// cannot be had here is added to `missing`.
    ///
    /// # Errors
    /// The call that failed.
    fn renounce(_parent: Pid, _missing: &mut Vec<OsError>) -> Result<(), OsError> {
        Ok(())
    }

    /// Reads back what [`Privileges::renounce`] did.
    ///
    /// # Errors
    /// What is left.
    fn prove() -> Result<(), OsError> {
        Ok(())
    }

    /// Forbids what would also forbid the proof. The last step.
    ///
    /// # Errors
    /// The call that failed.
    fn seal() -> Result<(), OsError> {
        Ok(())
    }

    /// Restricts the process that stays root to what it does after start-up: `files` are all that it sees from now on.
    ///
    /// # Errors
    /// The call that failed.
    fn restrict_monitor(_files: &[(&Path, Access)]) -> Result<(), OsError> {
        Ok(())
    }
}

/// The ordinary user that a confined process becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Not 0.
    pub uid: Uid,
    /// Not 0.
    pub gid: Gid,
}

/// Proof that the process is confined. Only this module makes one.
#[derive(Debug)]
pub struct Confined {
    missing: Vec<OsError>,
}

impl Confined {
    /// What this system does not offer; the process is confined without it.
    pub fn missing(&self) -> &[OsError] {
        &self.missing
    }
}

/// Turns this process, which root started, into one of `identity` that sees nothing but an empty directory and can
/// gain nothing by exec, then proves it. Open what needs root before; start threads after.
///
/// In the order that the calls need: supplementary groups, group ids, chroot, user ids (chroot(2) wants root,
/// setgroups(2) and setresgid(2) too), then what the system has beside ids; after the proof what would forbid the proof.
///
/// # Errors
/// The call that failed, or the proof. The process may then be half confined: exit.
pub fn confine<S: Privileges>(
    identity: &Identity,
    root: &RootDirectory,
) -> Result<Confined, OsError> {
    S::single_thread("confine")?;
    let (parent, mut missing) = (getppid(), Vec::new());
    if identity.uid.is_root() || identity.gid == Gid::from_raw(0) {
        return Err(OsError::refused(
            "confine",
            Name(identity),
            "a process cannot be confined to root",
        )
        .remedy("name an ordinary user"));
    }
    if !Uid::effective().is_root() {
        return Err(OsError::new("confine", Name(identity), Errno::EPERM).remedy("start as root"));
    }
    ids::clear_groups(identity.gid).map_err(|error| refused("setgroups", "none", error))?;
    ids::set_gid(identity.gid).map_err(|error| refused("setgid", identity.gid, error))?;
    root.enter()?;
    S::renounce_as_root(&mut missing)?;
    ids::set_uid(identity.uid).map_err(|error| refused("setuid", identity.uid, error))?;
    S::renounce(parent, &mut missing)?;

    let groups = ids::groups().map_err(|error| OsError::new("getgroups", "", error))?;
    if groups.iter().any(|group| *group != identity.gid) {
        return Err(OsError::refused(
            "getgroups",
            "",
            "supplementary groups remain",
        ));
    }
    prove::<S>(identity)?;
    S::seal()?;
    Ok(Confined { missing })
}

/// Turns this process, which root started, into one of `identity`, whose files and network it sees as before.
///
/// # Errors
/// The call that failed, or that an id of root's is left. The process may then be half changed: exit.
pub fn change_user(identity: &Identity) -> Result<(), OsError> {
    ids::clear_groups(identity.gid).map_err(|error| refused("setgroups", "none", error))?;
    ids::set_gid(identity.gid).map_err(|error| refused("setgid", identity.gid, error))?;
    ids::set_uid(identity.uid).map_err(|error| refused("setuid", identity.uid, error))?;
    prove_ids(identity)
}

/// Takes from this process, which an ordinary user started, what privilege it may have been given (systemd's
/// AmbientCapabilities), refuses new ones, and proves it. Root directory and groups stay: only root can change them.
///
/// # Errors
/// The call that failed, or the proof; also when root runs it.
pub fn confine_unprivileged<S: Privileges>() -> Result<Confined, OsError> {
    S::single_thread("confine")?;
    let (parent, mut missing) = (getppid(), Vec::new());
    let identity = Identity {
        uid: Uid::effective(),
        gid: Gid::effective(),
    };
    if identity.uid.is_root() {
        return Err(OsError::refused(
            "confine",
            Name(&identity),
            "root must change to an ordinary user",
        ));
    }
    S::renounce(parent, &mut missing)?;
    prove::<S>(&identity)?;
    S::seal()?;
    Ok(Confined { missing })
}

/// The ids are those of `identity`, all of them, and root's cannot be had back.
fn prove<S: Privileges>(identity: &Identity) -> Result<(), OsError> {
    S::prove()?;
    prove_ids(identity)
}

fn prove_ids(identity: &Identity) -> Result<(), OsError> {
    let uids = ids::uids().map_err(|error| OsError::new("getuid", "", error))?;
    let gids = ids::gids().map_err(|error| OsError::new("getgid", "", error))?;
    if uids.iter().any(|uid| *uid != identity.uid) || gids.iter().any(|gid| *gid != identity.gid) {
        return Err(OsError::refused(
            "confine",
            Name(identity),
            "another user or group ID remains",
        ));
    }
    // A saved id, which not every system lets a process read, would let the second call succeed.
    if setuid(Uid::from_raw(0)).is_ok() || seteuid(Uid::from_raw(0)).is_ok() {
        return Err(OsError::refused(
            "setuid",
            "0",
            "the process could become root again",
        ));
    }
    // An ordinary user of group 0, as in some containers, may of course stay in it.
    let root = Gid::from_raw(0);
    if identity.gid != root && (setgid(root).is_ok() || setegid(root).is_ok()) {
        return Err(OsError::refused(
            "setgid",
            "0",
            "the process could regain the group of root",
        ));
    }
    Ok(())
}

/// Why root cannot become the user. In a user namespace, root has no other ids than those that were mapped, and may set no
/// groups if that is its own alone (user_namespaces(7)).
fn refused(call: &'static str, object: impl fmt::Display, error: Errno) -> OsError {
    OsError::new(call, object, error).remedy(
        "root needs CAP_SETUID, CAP_SETGID and, in a user namespace, the ids of the user to become, mapped as in \
         user_namespaces(7)",
    )
}

struct Name<'a>(&'a Identity);

impl fmt::Display for Name<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "to uid {} gid {}", self.0.uid, self.0.gid)
    }
}

//! User and group ids: which calls a system has to set all of them for good.

use cfg_if::cfg_if;
use nix::unistd::{Gid, Uid};

/// Leaves no supplementary group but `gid`.
///
/// An empty list would make macOS put group 0 on it (bsd/kern/kern_prot.c of xnu, `setgroups_internal`).
#[cfg(target_os = "macos")]
pub(crate) fn clear_groups(gid: Gid) -> nix::Result<()> {
    let groups = [gid.as_raw()];
    // SAFETY: the list has one entry and is only read.
    nix::errno::Errno::result(unsafe { libc::setgroups(1, groups.as_ptr()) }).map(drop)
}

/// Leaves no supplementary group.
#[cfg(not(target_os = "macos"))]
pub(crate) fn clear_groups(_: Gid) -> nix::Result<()> {
    nix::unistd::setgroups(&[])
}

/// The supplementary groups.
#[cfg(target_os = "macos")]
pub(crate) fn groups() -> nix::Result<Vec<Gid>> {
    // NGROUPS_MAX (bsd/sys/syslimits.h of xnu).
    let mut groups = [0; 16];
    // SAFETY: the list has room for 16 entries.
    let count = unsafe { libc::getgroups(16, groups.as_mut_ptr()) };
    let count = nix::errno::Errno::result(count)?;
    let groups = groups.into_iter().map(Gid::from_raw);
    Ok(groups.take(usize::try_from(count).unwrap_or(0)).collect())
}

/// The supplementary groups.
#[cfg(not(target_os = "macos"))]
pub(crate) fn groups() -> nix::Result<Vec<Gid>> {
    nix::unistd::getgroups()
}

cfg_if! {
    if #[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "openbsd"))] {
        use nix::unistd::{getresgid, getresuid, setresgid, setresuid};

        /// Sets the real, the effective and the saved group id.
        pub(crate) fn set_gid(gid: Gid) -> nix::Result<()> {
            setresgid(gid, gid, gid)
        }

        /// Sets the real, the effective and the saved user id.
        pub(crate) fn set_uid(uid: Uid) -> nix::Result<()> {
            setresuid(uid, uid, uid)
        }

        /// Every group id of the process that can be read.
        pub(crate) fn gids() -> nix::Result<[Gid; 3]> {
            getresgid().map(|ids| [ids.real, ids.effective, ids.saved])
        }

        /// Every user id of the process that can be read.
        pub(crate) fn uids() -> nix::Result<[Uid; 3]> {
            getresuid().map(|ids| [ids.real, ids.effective, ids.saved])
        }
    } else {
        use nix::unistd::{getegid, geteuid, getgid, getuid, setgid, setuid};

        /// Sets the real, the effective and the saved group id, which setgid(2) does for root.
        pub(crate) fn set_gid(gid: Gid) -> nix::Result<()> {
            setgid(gid)
        }

        /// Sets the real, the effective and the saved user id, which setuid(2) does for root.
        pub(crate) fn set_uid(uid: Uid) -> nix::Result<()> {
            setuid(uid)
        }

        /// Every group id of the process that can be read.
        pub(crate) fn gids() -> nix::Result<[Gid; 2]> {
            Ok([getgid(), getegid()])
        }

        /// Every user id of the process that can be read.
        pub(crate) fn uids() -> nix::Result<[Uid; 2]> {
            Ok([getuid(), geteuid()])
        }
    }
}

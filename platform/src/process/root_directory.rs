//! The empty directory that a confined process sees as `/`.

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, chdir, chroot, fchdir, mkdtemp, unlinkat};

use crate::error::OsError;

/// The directory that a confined process sees as `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootDirectory {
    /// An existing one: root's, empty, writable by nobody else.
    Directory(PathBuf),
    /// A new one, removed as soon as the process is inside it.
    Private,
}

/// The customary empty directory (hier(7) of the BSDs), unless a port sets its own when it builds.
pub const EMPTY_DIR: &str = match option_env!("MIREDO_EMPTY_DIR") {
    Some(path) => path,
    None => "/var/empty",
};

/// Where a private directory is made: one that only root can write, then one where others cannot rename it.
const PARENTS: [&str; 2] = ["/var/run", "/tmp"];

/// [`RootDirectory::Directory`] of `/var/empty` where that is fit for it, otherwise [`RootDirectory::Private`].
pub fn default_root() -> RootDirectory {
    match open_empty(Path::new(EMPTY_DIR)) {
        Ok(_) => RootDirectory::Directory(EMPTY_DIR.into()),
        Err(_) => RootDirectory::Private,
    }
}

impl RootDirectory {
    /// Makes it this process's root and working directory. Only root may.
    pub(super) fn enter(&self) -> Result<(), OsError> {
        match self {
            Self::Directory(path) => enter(open_empty(path)?, path),
            Self::Private => enter_private(),
        }
    }
}

/// Opens a directory that is fit to be the root of a confined process.
fn open_empty(path: &Path) -> Result<File, OsError> {
    let directory = open_directory(path)
        .map_err(|error| error.remedy("name an empty directory that belongs to root"))?;
    let meta = directory
        .metadata()
        .map_err(|error| OsError::new("stat", path.display(), error))?;
    let unfit = |why| {
        OsError::refused("chroot", path.display(), why)
            .remedy("name an empty directory that belongs to root")
    };
    if meta.uid() != 0 {
        return Err(unfit("the directory does not belong to root"));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(unfit("the directory is writable by others than root"));
    }
    if !is_empty(&directory, path)? {
        return Err(unfit("the directory is not empty"));
    }
    Ok(directory)
}

fn open_directory(path: &Path) -> Result<File, OsError> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(path, flags, Mode::empty())
        .map_err(|error| OsError::new("open", path.display(), error))?;
    Ok(directory.into())
}

fn is_empty(directory: &File, path: &Path) -> Result<bool, OsError> {
    let failed = |error| OsError::new("read", path.display(), error);
    // "." leads to the directory itself, with an offset of its own.
    let mut entries = Dir::openat(
        directory,
        ".",
        OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .map_err(failed)?;
    for entry in entries.iter() {
        let entry = entry.map_err(failed)?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes `directory`, known as `path`, the root; then looks again whether it is empty.
///
/// It is closed before: to a process whose root is not the system's, a jail's above all, FreeBSD refuses chroot(2) while it has
/// a directory open (`pwd_chroot`, sys/kern/kern_descrip.c, with kern.chroot_allow_open_directories=1, the default), DragonFly
/// too (`chroot_refuse_vdir_fds`, sys/kern/vfs_syscalls.c).
fn enter(directory: File, path: &Path) -> Result<(), OsError> {
    fchdir(&directory).map_err(|error| OsError::new("chdir", path.display(), error))?;
    drop(directory);
    chroot(".").map_err(|error| {
        OsError::new("chroot", path.display(), error).permission("start as root", root_lacks())
    })?;
    chdir("/").map_err(|error| OsError::new("chdir", "/", error))?;
    let root = open_directory(Path::new("/"))?;
    match is_empty(&root, path)? {
        true => Ok(()),
        false => Err(OsError::refused(
            "chroot",
            path.display(),
            "the directory is not empty",
        )),
    }
}

/// What root itself lacks where it may not call chroot(2): in a jail it is what keeps [`enter_private`] from its work.
fn root_lacks() -> Cow<'static, str> {
    match cfg!(target_os = "linux") {
        true => "root lacks the capability CAP_SYS_CHROOT here".into(),
        false => {
            format!("in a jail, make {EMPTY_DIR}, empty and root's, or name one with -t").into()
        }
    }
}

/// Makes a directory, enters it and removes it, whatever goes wrong in between. Its parent stays open for that, so not in a
/// jail: see [`enter`].
fn enter_private() -> Result<(), OsError> {
    let mut failed = OsError::new("mkdir", "", Errno::ENOENT);
    for parent in PARENTS.map(Path::new) {
        match make_private(parent) {
            Ok((held, path)) => {
                let entered = enter_new(&path);
                let removed = unlinkat(
                    &held,
                    path.file_name().unwrap_or_default(),
                    UnlinkatFlags::RemoveDir,
                );
                return entered
                    .and(removed.map_err(|error| OsError::new("rmdir", path.display(), error)));
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The new directory's path, and its parent held open: after chroot the path leads elsewhere.
fn make_private(parent: &Path) -> Result<(File, PathBuf), OsError> {
    let held = open_directory(parent)?;
    let path = mkdtemp(&parent.join("miredo-server.XXXXXX"))
        .map_err(|error| OsError::new("mkdir", parent.display(), error))?;
    Ok((held, path))
}

fn enter_new(path: &Path) -> Result<(), OsError> {
    let directory = open_directory(path)?;
    fchmod(&directory, Mode::from_bits_truncate(0o555))
        .map_err(|error| OsError::new("chmod", path.display(), error))?;
    enter(directory, path)
}

//! The process ID file, locked for as long as the daemon lives.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use platform::OsError;

use super::Fault;

/// A locked file that holds this process's ID. It is removed when dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    lock: Flock<File>,
}

impl PidFile {
    /// Creates the file, or takes over one that no living process has locked.
    ///
    /// # Errors
    /// When it cannot be created or written, and when another server holds it.
    pub fn create(path: &Path) -> Result<Self, Fault> {
        loop {
            let lock = lock(path)?;
            // A server that ends removes its file: the locked file may have lost its name.
            if !same_file(&lock, path) {
                continue;
            }
            let mut held = Self {
                path: path.to_owned(),
                lock,
            };
            held.write().map_err(|error| os("write", path, error))?;
            return Ok(held);
        }
    }

    fn write(&mut self) -> std::io::Result<()> {
        // Every user may read it, whatever the umask is, which detaching sets to 077.
        self.lock
            .set_permissions(PermissionsExt::from_mode(0o644))?;
        self.lock.set_len(0)?;
        writeln!(self.lock, "{}", std::process::id())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // While the lock is held no other server takes the name. Somebody may have replaced the file by hand.
        if same_file(&self.lock, &self.path) {
            // The daemon ends: there is nobody to report a failure to.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn lock(path: &Path) -> Result<Flock<File>, Fault> {
    // What the path names is truncated, made readable for all and later removed. That must not happen to /dev/null.
    if fs::symlink_metadata(path).is_ok_and(|named| !named.is_file()) {
        let why = std::io::Error::other("not a regular file");
        return Err(os("open", path, why));
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
        .map_err(|error| os("open", path, error))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(file, errno)| match errno {
        Errno::EWOULDBLOCK => Fault::new(format!(
            "{}: locked by {}; stop that server first, or give this one its own file with --pidfile",
            path.display(),
            holder(file)
        )),
        errno => os("flock", path, errno.into()),
    })
}

/// Who holds the lock, by what is in the file.
fn holder(mut file: File) -> String {
    let mut text = String::new();
    // A process ID has at most ten digits. What is no number is not reported.
    let read = Read::by_ref(&mut file).take(16).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("another miredo-server, process {pid}"),
        _ => "another process".to_owned(),
    }
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn os(call: &'static str, path: &Path, error: std::io::Error) -> Fault {
    OsError::new(call, path.display(), error)
        .remedy("name another process-id file with --pidfile")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("miredo-pidfile-{}-{name}", std::process::id()))
    }

    #[test]
    fn holds_our_number_and_goes_away() {
        let path = scratch("own");
        let held = PidFile::create(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{}\n", std::process::id())
        );
        drop(held);
        assert!(!path.exists());
    }

    #[test]
    fn a_second_holder_is_told_who_has_it() {
        let path = scratch("second");
        let _held = PidFile::create(&path).unwrap();
        let refusal = PidFile::create(&path).unwrap_err().to_string();
        assert!(
            refusal.contains(&format!("process {}", std::process::id())),
            "{refusal}"
        );
        assert!(path.exists());
    }

    #[test]
    fn a_stale_file_is_taken_over() {
        let path = scratch("stale");
        fs::write(&path, "4194304\nand more than a number\n").unwrap();
        let _held = PidFile::create(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{}\n", std::process::id())
        );
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let path = scratch("no-file");
        let target = scratch("target");
        let refused = || PidFile::create(&path).unwrap_err().to_string();
        // In place of /dev/null, which a test must not put at stake.
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(refused().contains("not a regular file"), "{}", refused());
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(refused().contains("not a regular file"), "{}", refused());
        assert!(!target.exists());
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_that_somebody_replaced_is_left_alone() {
        let path = scratch("replaced");
        let held = PidFile::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(held);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
        fs::remove_file(&path).unwrap();
    }
}

//! The process ID file, locked for as long as the daemon lives.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use platform::OsError;

use super::Fault;
use super::file_id::FileId;

/// A locked file that holds this process's ID. It is removed when dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    /// Closing it ends the lock.
    file: File,
}

impl PidFile {
    /// Creates the file, or takes over one that a server of this user left behind.
    ///
    /// # Errors
    /// When it cannot be created or written, when another process holds it, and when it is a file of something else: what is in
    /// it would be lost. So would that of `configuration` be, which may be empty.
    pub fn create(path: &Path, configuration: Option<FileId>) -> Result<Self, Fault> {
        loop {
            let file = lock(path)?;
            // A server that ends removes its file: the locked file may have lost its name.
            if !same_file(&file, path) {
                continue;
            }
            match why_foreign(&file, configuration) {
                Ok(None) => {}
                Ok(Some(why)) => return Err(os("take over", path, io::Error::other(why))),
                Err(error) => return Err(os("read", path, error)),
            }
            let mut held = Self {
                path: path.to_owned(),
                file,
            };
            held.write().map_err(|error| os("write", path, error))?;
            return Ok(held);
        }
    }

    fn write(&mut self) -> io::Result<()> {
        // Every user may read it, whatever the umask is, which detaching sets to 077.
        self.file
            .set_permissions(PermissionsExt::from_mode(0o644))?;
        self.file.set_len(0)?;
        writeln!(self.file, "{}", process::id())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // While the lock is held no other server takes the name. Somebody may have replaced the file by hand.
        if same_file(&self.file, &self.path) {
            // The daemon ends: there is nobody to report a failure to.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn lock(path: &Path) -> Result<File, Fault> {
    // What the path names is truncated, made readable for all and later removed. That must not happen to /dev/null.
    if fs::symlink_metadata(path).is_ok_and(|named| !named.is_file()) {
        let why = io::Error::other("not a regular file");
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
    match platform::lock_file(&file) {
        Ok(()) => Ok(file),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Fault::new(format!(
            "{}: locked by {}; stop that server first, or give this one its own file with --pidfile",
            path.display(),
            holder(&file)
        ))),
        Err(error) => Err(os("lock", path, error)),
    }
}

/// Why a file is none that a server of this user left behind, if it is not: the configuration, say, named by mistake.
fn why_foreign(file: &File, configuration: Option<FileId>) -> io::Result<Option<&'static str>> {
    let known = file.metadata()?;
    let word = first_word(file)?;
    Ok(if configuration == Some(FileId::from(&known)) {
        Some("it is the configuration")
    } else if known.nlink() > 1 {
        Some("it has another name, as a hard link")
    } else if known.uid() != geteuid().as_raw() {
        Some("it belongs to another user")
    } else if !word.is_empty() && word.parse::<u32>().is_err() {
        Some("it holds something other than a process id")
    } else {
        None
    })
}

/// Who holds the lock, by what is in the file.
fn holder(file: &File) -> String {
    match first_word(file).map(|word| word.parse::<u32>()) {
        Ok(Ok(pid)) => format!("another miredo-server, process {pid}"),
        _ => "another process".to_owned(),
    }
}

/// The first word of a file, or the start of it. A process ID has at most ten digits.
fn first_word(file: &File) -> io::Result<String> {
    let mut bytes = [0; 16];
    let read = file.read_at(&mut bytes, 0)?;
    let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default());
    Ok(text
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned())
}

fn same_file(file: &File, path: &Path) -> bool {
    file.metadata()
        .is_ok_and(|held| FileId::of_name(path) == Some(FileId::from(&held)))
}

fn os(call: &'static str, path: &Path, error: io::Error) -> Fault {
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
        let held = PidFile::create(&path, None).unwrap();
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
        let _held = PidFile::create(&path, None).unwrap();
        let refusal = PidFile::create(&path, None).unwrap_err().to_string();
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
        let _held = PidFile::create(&path, None).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{}\n", std::process::id())
        );
    }

    /// The configuration, named by mistake, and files of others that a link or a writable directory puts in the way.
    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let path = scratch("foreign");
        let refused = |why| {
            let before = (
                fs::read(&path).unwrap(),
                fs::metadata(&path).unwrap().mode(),
            );
            let refusal = PidFile::create(&path, None).unwrap_err().to_string();
            assert!(refusal.contains(why), "{refusal}");
            let after = (
                fs::read(&path).unwrap(),
                fs::metadata(&path).unwrap().mode(),
            );
            assert_eq!(before, after);
        };
        for text in [
            "ServerBindAddress 192.0.2.1\n",
            "# a comment\n",
            "12345678901234567890\n",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9} ",
        ] {
            fs::write(&path, text).unwrap();
            refused("something other than a process id");
        }
        fs::write(&path, "").unwrap();
        let refusal = PidFile::create(&path, FileId::of(&path))
            .unwrap_err()
            .to_string();
        assert!(refusal.contains("it is the configuration"), "{refusal}");
        assert!(fs::read(&path).unwrap().is_empty());
        fs::write(&path, "1\n").unwrap();
        let link = scratch("link");
        fs::hard_link(&path, &link).unwrap();
        refused("another name");
        fs::remove_file(&link).unwrap();
        if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
            refused("another user");
        }
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let path = scratch("no-file");
        let target = scratch("target");
        let refused = || PidFile::create(&path, None).unwrap_err().to_string();
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
        let held = PidFile::create(&path, None).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(held);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
        fs::remove_file(&path).unwrap();
    }
}

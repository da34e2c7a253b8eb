//! Which file it is, whatever its name.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device and inode of a file. They are its own for as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId(u64, u64);

impl FileId {
    /// That of the file which a path leads to, through links. A name as /dev/fd/9 means a file only while that descriptor is open.
    pub fn of(path: &Path) -> Option<Self> {
        Some(Self::from(&fs::metadata(path).ok()?))
    }

    /// That of what has this name, which may be a link.
    pub fn of_name(path: &Path) -> Option<Self> {
        Some(Self::from(&fs::symlink_metadata(path).ok()?))
    }
}

impl From<&Metadata> for FileId {
    fn from(file: &Metadata) -> Self {
        Self(file.dev(), file.ino())
    }
}

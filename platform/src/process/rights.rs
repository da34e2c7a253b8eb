//! What a process can be kept from beside its ids, where the system can: rights of single descriptors, sight of files.

use std::os::fd::AsFd;
use std::path::Path;

use crate::error::OsError;

/// What the process that stays root does with a file after start-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Read,
    /// Looks at it and removes it.
    Remove,
    /// Executes it.
    Execute,
}

/// Rights of descriptors and of the process to make files, on systems that have them.
pub trait Rights {
    /// Takes from `descriptor` every right that moving datagrams and waiting for them does not need. By default there are
    /// none to take.
    ///
    /// # Errors
    /// `cap_rights_limit`.
    fn limit(_: &impl AsFd) -> Result<(), OsError> {
        Ok(())
    }

    /// Whether this process may still make a file that others connect to.
    ///
    /// # Errors
    /// That it has promised not to.
    fn may_create(_path: &Path) -> Result<(), OsError> {
        Ok(())
    }
}

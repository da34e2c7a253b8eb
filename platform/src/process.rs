//! The life of a process: what it inherits, how it goes into the background, what it gives up, and the proof.

pub mod confine;
pub mod detach;
pub mod file_lock;
mod ids;
pub mod inherit;
pub mod lock_down;
pub mod open_descriptors;
mod open_files;
pub mod pass;
pub mod rights;
mod root_directory;
pub mod syslog;

pub use open_files::allow_files;
pub use root_directory::{EMPTY_DIR, RootDirectory, default_root};

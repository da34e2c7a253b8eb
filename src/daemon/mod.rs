//! Two processes: a monitor that keeps its privileges and opens the sockets, and a worker that gives all privilege up and serves.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`plan`] | what to serve: options and configuration, with names looked up |
//! | [`identity`] | the user and group that the worker becomes |
//! | [`pidfile`] | the locked process ID file |
//! | [`signals`] | signals as a descriptor to wait on |
//! | [`sockets`] | what the monitor opens and every worker inherits |
//! | [`channel`] | messages over a stream socket: framing, bounds, time limits |
//! | [`messages`] | what the monitor and a worker tell each other |
//! | [`program`] | this program executed again, as a process that is watched |
//! | [`reader`] | the process that reads the configuration and looks names up |
//! | [`child`] | a worker as the monitor sees it: start, readiness, stop |
//! | [`monitor`] | reload, replacement, stop |
//! | [`worker`] | a worker as it sees itself: opened, confined, serving |
//! | `poll` | poll(2) with a point in time |

use std::fmt;

pub mod channel;
pub mod child;
pub mod identity;
pub mod messages;
pub mod monitor;
pub mod pidfile;
pub mod plan;
mod poll;
pub mod program;
pub mod reader;
pub mod signals;
pub mod sockets;
pub mod worker;

/// Why the daemon cannot start or go on, in words for its administrator.
#[derive(Debug)]
pub struct Fault(String);

impl Fault {
    /// A fault in words: what failed, on which object, what to do.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl From<platform::OsError> for Fault {
    fn from(error: platform::OsError) -> Self {
        Self(error.to_string())
    }
}

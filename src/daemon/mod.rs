//! Two processes: a monitor that keeps its privileges and opens the sockets, and a worker that gives all privilege up and serves.
//! Where metrics are asked for, a third, the exporter, shows them. Another, the accelerator, attaches programs to network
//! interfaces, and ends.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`plan`] | what to serve: options and configuration, with names looked up |
//! | [`invocation`] | how the program was started |
//! | [`identity`] | the user and group that the worker becomes |
//! | [`pidfile`] | the locked process ID file |
//! | [`file_id`] | which file a name or a descriptor means |
//! | [`signals`] | signals as a descriptor to wait on |
//! | [`sockets`] | what the monitor opens and every worker inherits |
//! | [`channel`] | messages over a stream socket: framing, bounds, time limits |
//! | [`messages`] | what the monitor and a worker tell each other |
//! | [`program`] | this program executed again, as a process that is watched |
//! | [`reader`] | the process that reads the configuration and looks names up |
//! | [`again`] | when a process that died is started again |
//! | [`peer`] | a process that has an order and is heard: a worker, an exporter, an accelerator |
//! | [`child`] | a worker as the monitor sees it: start, readiness, stop |
//! | [`status`] | what a running server tells of itself |
//! | [`statistics`] | the socket at which it tells that |
//! | [`ask`] | `--status`: who asks there |
//! | [`metrics`] | the metrics as the monitor sees them: socket, exporter, what that is told |
//! | [`exporter`] | the process that serves them over HTTP |
//! | [`accelerator`] | the process that attaches programs to network interfaces |
//! | [`driver`] | those programs as the monitor sees them: attached, counted, gone |
//! | [`notify`] | what the service manager is told |
//! | [`waiting`] | the start, until this host has its addresses |
//! | [`monitor`] | the process that keeps its privileges: start, reload, replacement, stop |
//! | `start` | what a worker, an exporter and an accelerator do alike before their work |
//! | [`worker`] | a worker as it sees itself: opened, confined, serving |
//! | `accepting` | accept(2) without waiting, with a rest after a failure |
//! | `poll` | poll(2) with a point in time |
//! | `wiped` | buffers for messages that may hold secrets |

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::escape::Escaped;

pub mod accelerator;
mod accepting;
pub mod again;
pub mod ask;
pub mod channel;
pub mod child;
pub mod driver;
pub mod exporter;
pub mod file_id;
pub mod identity;
pub mod invocation;
pub mod messages;
pub mod metrics;
pub mod monitor;
pub mod notify;
pub mod peer;
pub mod pidfile;
pub mod plan;
mod poll;
pub mod program;
pub mod reader;
pub mod signals;
pub mod sockets;
mod start;
pub mod statistics;
pub mod status;
pub mod waiting;
mod wiped;
pub mod worker;

/// Why the daemon cannot start or go on, in words for its administrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    words: String,
    exit_status: u8,
}

/// Exit status of a start that may succeed later: an address may appear.
const FAILURE: u8 = 1;
/// `EX_CONFIG` of sysexits(3).
const EX_CONFIG: u8 = 78;

impl Fault {
    /// A fault in words: what failed, on which object, what to do.
    pub fn new(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            exit_status: FAILURE,
        }
    }

    /// A fault of the configuration: a new start fails too, until somebody changes what `words` name. Service managers
    /// tell it by its exit status, and do not start the server again.
    pub fn of_configuration(words: impl Into<String>) -> Self {
        Self {
            exit_status: EX_CONFIG,
            ..Self::new(words)
        }
    }

    /// The same fault, told by another process: in words that cannot disturb a terminal or a log.
    fn escaped(self) -> Self {
        let words = Escaped(&self.words).to_string();
        Self { words, ..self }
    }

    /// What the program exits with (miredo-server(8)).
    pub fn exit_status(&self) -> u8 {
        self.exit_status
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Fault {}

impl From<platform::OsError> for Fault {
    fn from(error: platform::OsError) -> Self {
        Self::new(error.to_string())
    }
}

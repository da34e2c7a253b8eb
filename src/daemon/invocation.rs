//! How the program was started, and what follows from that for as long as it runs.

use super::identity::Owner;
use super::plan::Plan;
use super::program::Program;
use super::status::Started;
use crate::cli::Options;
use crate::logging::{self, Target};

/// How the program was started. It stays the same for as long as the monitor lives.
#[derive(Debug)]
pub struct Invocation {
    /// The command line, which names the configuration to read at each reload.
    pub options: Options,
    /// The user that workers become.
    pub owner: Owner,
    /// The file that workers execute.
    pub program: Program,
    /// When that was.
    pub started: Started,
}

/// Whether a server with these options logs to standard error. Where that is the journal, a service logs through syslog(3)
/// instead, which the journal reads too: standard error has no facility. `RUST_LOG` is for standard error alone.
pub fn logs_to_stderr(options: &Options) -> bool {
    let journal = logging::stderr_is_journal() && std::env::var_os("RUST_LOG").is_none();
    options.local || options.foreground && !journal
}

/// Where a server with these options and this plan logs.
pub fn target(options: &Options, plan: &Plan) -> Target {
    if logs_to_stderr(options) {
        Target::Stderr
    } else {
        Target::Syslog(plan.service.facility)
    }
}

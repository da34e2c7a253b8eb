//! Where log lines go: to stderr for a person or a supervisor, to syslog(3) for a daemon, to the monitor from its worker.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `queue` | lines on their way to stderr or syslog(3), which may be slow or hang |
//! | `filter` | what `RUST_LOG` asks for, and whether it means anything |
//! | `forward` | lines of a worker on their way to the monitor |

use std::io::Write;

use log::{Level, LevelFilter, Log, Record};
use nix::sys::stat::fstat;
use nix::syslog::{Severity, syslog};
use serde::{Deserialize, Serialize};

use crate::conf::{self, Diagnostic, Facility};
use crate::escape::Escaped;

mod filter;
mod forward;
mod queue;

pub use forward::forward;
pub use queue::{finish, init, start};

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// Through env_logger, which honours `RUST_LOG`.
    Stderr,
    /// Through syslog(3) of the C library.
    Syslog(Facility),
}

/// One line, as it goes from one thread or process to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLine {
    /// How severe.
    pub level: Level,
    /// Which part of the program wrote it, for `RUST_LOG`.
    pub target: String,
    /// What it says.
    pub text: String,
}

impl LogLine {
    /// Most characters of a text.
    pub const TEXT_MAX: usize = 1024;
    /// Most characters of a target.
    const TARGET_MAX: usize = 64;

    /// A line of bounded length, without control characters.
    fn new(record: &Record<'_>) -> Self {
        let one_line = |text: &str, most| {
            let one_line = |c: char| if c.is_control() { ' ' } else { c };
            text.chars().take(most).map(one_line).collect()
        };
        Self {
            level: record.level(),
            target: one_line(record.target(), Self::TARGET_MAX),
            text: one_line(&record.args().to_string(), Self::TEXT_MAX),
        }
    }
}

/// Logs a line that another process wrote, as if it were one of this process.
pub fn relay(line: &LogLine) {
    if line.level <= log::max_level() {
        let record = |args| {
            Record::builder()
                .level(line.level)
                .target(&line.target)
                .args(args)
                .build()
        };
        log::logger().log(&record(format_args!("{}", Escaped(&line.text))));
    }
}

/// Logs a fault of the configuration, in one line.
pub fn diagnostic(diagnostic: &Diagnostic) {
    let level = match diagnostic.severity {
        conf::Severity::Error => Level::Error,
        conf::Severity::Warning => Level::Warn,
    };
    log::log!(level, "{}", diagnostic.headline());
}

/// Where lines end. Both may make the thread that calls them wait.
enum Sink {
    Stderr(env_logger::Logger),
    Syslog,
}

impl Sink {
    fn new(target: Target) -> Self {
        match target {
            Target::Stderr => Self::Stderr(stderr()),
            Target::Syslog(_) => Self::Syslog,
        }
    }

    /// The most that it writes.
    fn level(&self) -> LevelFilter {
        match self {
            Self::Stderr(logger) => logger.filter(),
            Self::Syslog => LevelFilter::Info,
        }
    }

    fn takes(&self, record: &Record<'_>) -> bool {
        match self {
            Self::Stderr(logger) => logger.matches(record),
            Self::Syslog => record.level() <= self.level(),
        }
    }

    fn write(&self, line: &LogLine) {
        match self {
            Self::Stderr(logger) => {
                let record = |args| {
                    Record::builder()
                        .level(line.level)
                        .target(&line.target)
                        .args(args)
                        .build()
                };
                logger.log(&record(format_args!("{}", line.text)));
            }
            // A log that fails cannot be reported.
            Self::Syslog => drop(syslog(severity(line.level), &line.text)),
        }
    }
}

fn stderr() -> env_logger::Logger {
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(&filter::wanted().unwrap_or(filter::DEFAULT.to_owned()));
    if let Ok(style) = std::env::var("RUST_LOG_STYLE") {
        builder.parse_write_style(&style);
    }
    // The journal keeps its own time and reads the level from a prefix (sd-daemon(3)).
    if stderr_is_journal() {
        builder.format(|out, record| {
            writeln!(out, "<{}>{}", severity(record.level()) as u8, record.args())
        });
    } else {
        builder.format_target(false);
    }
    builder.build()
}

/// Whether standard error is what `JOURNAL_STREAM` names, by device and inode (systemd.exec(5)). The variable alone says
/// nothing: a desktop's session is a service of systemd, and a shell in it has the variable and a terminal.
pub fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    fstat(std::io::stderr()).is_ok_and(|file| stream == format!("{}:{}", file.st_dev, file.st_ino))
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Error => Severity::LOG_ERR,
        Level::Warn => Severity::LOG_WARNING,
        Level::Info => Severity::LOG_INFO,
        Level::Debug | Level::Trace => Severity::LOG_DEBUG,
    }
}

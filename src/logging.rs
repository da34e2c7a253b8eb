//! Where log lines go: to stderr for a person or a supervisor, to syslog(3) for a daemon.

use std::io::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::sys::stat::fstat;
use nix::syslog::{Severity, syslog};
use serde::{Deserialize, Serialize};

use crate::conf::{self, Diagnostic, Facility};

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// Through env_logger, which honours `RUST_LOG`.
    Stderr,
    /// Through syslog(3) of the C library, which works inside a chroot and under pledge(2).
    Syslog(Facility),
}

/// Starts logging. Only the first call in a process chooses the target; later ones can change the facility.
pub fn init(target: Target) {
    match target {
        Target::Stderr => to_stderr(),
        Target::Syslog(facility) => to_syslog(facility),
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

fn to_stderr() {
    let mut builder =
        env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"));
    // The journal keeps its own time and reads the level from a prefix (sd-daemon(3)).
    if stderr_is_journal() {
        builder.format(|out, record| {
            writeln!(out, "<{}>{}", severity(record.level()) as u8, record.args())
        });
    } else {
        builder.format_target(false);
    }
    // It fails where a logger is set already, which then stays.
    let _ = builder.try_init();
}

/// Whether standard error is what `JOURNAL_STREAM` names, by device and inode (systemd.exec(5)). The variable alone says
/// nothing: a desktop's session is a service of systemd, and a shell in it has the variable and a terminal.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    fstat(std::io::stderr()).is_ok_and(|file| stream == format!("{}:{}", file.st_dev, file.st_ino))
}

fn to_syslog(facility: Facility) {
    platform::syslog::open(facility.code());
    // It fails where this logger is set already: then only the facility changes.
    if log::set_logger(&Syslog).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

struct Syslog;

impl Log for Syslog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Info
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // A log that fails cannot be reported.
            let _ = syslog(severity(record.level()), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Error => Severity::LOG_ERR,
        Level::Warn => Severity::LOG_WARNING,
        Level::Info => Severity::LOG_INFO,
        Level::Debug | Level::Trace => Severity::LOG_DEBUG,
    }
}

//! A plugin of Nagios, Icinga and their like: a status, one line, performance data behind a bar.

use std::time::Duration;

use super::rounds::Asked;
use super::text::in_short;
use crate::cli::probe::Options;

/// A plugin's status, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Every server works.
    Ok,
    /// With something odd, or too slowly.
    Warning,
    /// This host could not ask.
    Unknown,
    /// A server does not work, or much too slowly.
    Critical,
}

impl Status {
    /// The exit status.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// The line and the status of a check.
#[must_use]
pub fn check(options: &Options, asked: &[Asked]) -> (String, Status) {
    let worst = asked.iter().map(|asked| status(options, asked)).max();
    let worst = worst.unwrap_or(Status::Unknown);
    let servers: Vec<String> = asked.iter().map(server).collect();
    let data: Vec<String> = asked.iter().map(|asked| data(options, asked)).collect();
    (line(worst, &servers.join(", "), &data.join(" ")), worst)
}

/// A check that could not be made.
#[must_use]
pub fn unknown(why: &str) -> String {
    line(Status::Unknown, why, "")
}

fn line(status: Status, what: &str, data: &str) -> String {
    // The bar is where performance data begins, and a plugin's first line is all that everybody shows.
    let what = what.replace('|', "/").replace('\n', " ");
    let bar = if data.is_empty() { "" } else { " | " };
    format!("TEREDO {} - {what}{bar}{data}", status.as_str())
}

fn status(options: &Options, asked: &Asked) -> Status {
    let report = &asked.report;
    let slower = |limit: Option<u32>| {
        let limit = limit.map(|limit| Duration::from_millis(limit.into()));
        limit.is_some_and(|limit| report.after().is_some_and(|after| after > limit))
    };
    if report.is_unknown() {
        Status::Unknown
    } else if !report.works() || slower(options.critical) {
        Status::Critical
    } else if !report.warnings.is_empty() || slower(options.warning) {
        Status::Warning
    } else {
        Status::Ok
    }
}

fn server(asked: &Asked) -> String {
    let report = &asked.report;
    let mut text = format!("{} {}", asked.name, in_short(report));
    if let Some(nat) = report.nat {
        text.push_str(&format!(", NAT {}", nat.kind.as_str()));
    }
    text.extend(report.warnings.iter().map(|warning| format!(", {warning}")));
    text
}

/// `'label'=value;warning;critical;minimum;maximum`, times in milliseconds, U for none.
fn data(options: &Options, asked: &Asked) -> String {
    let value = match asked.report.after() {
        Some(after) => format!("{:.3}ms", after.as_secs_f64() * 1000.0),
        None => "U".to_owned(),
    };
    let limit = |limit: Option<u32>| limit.map(|limit| limit.to_string()).unwrap_or_default();
    format!(
        "'{}'={value};{};{};0;{}",
        asked.name,
        limit(options.warning),
        limit(options.critical),
        options.timeout.as_millis()
    )
}

//! Metrics in the text format of Prometheus, as node_exporter's textfile collector takes them.

use std::fs;
use std::path::Path;

use platform::OsError;

use super::json::now;
use super::rounds::Asked;
use crate::exposition::{self, Exposition, Format, Kind};

/// The metrics of a round.
#[must_use]
pub fn metrics(asked: &[Asked]) -> String {
    let mut text = Exposition::new(Format::Text);
    text.family(
        Kind::Gauge,
        "teredo_probe_up",
        "Whether a Teredo client could use the server.",
        asked.iter().map(|asked| {
            let works = u8::from(asked.report.works());
            (labels(asked, &[]), works.to_string())
        }),
    );
    text.family(
        Kind::Gauge,
        "teredo_probe_answer_seconds",
        "Time from question to answer.",
        asked.iter().flat_map(answers),
    );
    text.family(
        Kind::Gauge,
        "teredo_probe_fault",
        "Why no client could use the server.",
        asked.iter().flat_map(|asked| {
            let faults = asked.report.faults.iter();
            faults.map(|fault| one(asked, "fault", fault.code()))
        }),
    );
    text.family(
        Kind::Gauge,
        "teredo_probe_warning",
        "What is odd of a server that works.",
        asked.iter().flat_map(|asked| {
            let warnings = asked.report.warnings.iter();
            warnings.map(|warning| one(asked, "warning", warning.code()))
        }),
    );
    text.family(
        Kind::Gauge,
        "teredo_probe_nat",
        "Kind of the NAT between this host and the server.",
        asked.iter().filter_map(|asked| {
            let nat = asked.report.nat?;
            Some(one(asked, "kind", nat.kind.as_str()))
        }),
    );
    text.family(
        Kind::Gauge,
        "teredo_probe_mtu_bytes",
        "MTU that the server advertises.",
        asked.iter().filter_map(|asked| {
            let mtu = asked.report.primary?.mtu;
            Some((labels(asked, &[]), mtu.to_string()))
        }),
    );
    text.family(
        Kind::Gauge,
        "teredo_probe_time_seconds",
        "When the servers were asked, in seconds since 1970.",
        [(String::new(), now())],
    );
    text.finish()
}

/// Puts the text in the place of `path` at once, so that nobody reads half of it.
///
/// # Errors
/// Of writing the file beside it, or of rename(2).
pub fn write(path: &Path, text: &str) -> Result<(), OsError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = Path::new(&beside);
    fs::write(beside, text).map_err(|error| OsError::new("write", beside.display(), error))?;
    fs::rename(beside, path).map_err(|error| {
        // What is left beside it would be one more file each round.
        let _ = fs::remove_file(beside);
        OsError::new("rename", path.display(), error)
    })
}

fn answers(asked: &Asked) -> impl Iterator<Item = (String, String)> {
    let report = &asked.report;
    let answers = [
        ("primary", report.primary),
        ("secondary", report.secondary),
        ("cone", report.cone),
    ];
    answers.into_iter().filter_map(|(question, answer)| {
        let seconds = answer?.after.as_secs_f64();
        let labels = labels(asked, &[("question", question)]);
        Some((labels, seconds.to_string()))
    })
}

fn one(asked: &Asked, label: &str, value: &str) -> (String, String) {
    (labels(asked, &[(label, value)]), "1".to_owned())
}

fn labels(asked: &Asked, further: &[(&str, &str)]) -> String {
    let server = asked.given.to_string();
    let mut all = vec![("server", server.as_str())];
    all.extend(further);
    exposition::labels(&all)
}

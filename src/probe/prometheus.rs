//! Metrics in the text format of Prometheus, as node_exporter's textfile collector takes them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use platform::OsError;

use super::json::now;
use super::rounds::Asked;

/// The metrics of a round.
#[must_use]
pub fn metrics(asked: &[Asked]) -> String {
    let mut text = String::new();
    family(
        &mut text,
        "teredo_probe_up",
        "Whether a Teredo client could use the server.",
        asked.iter().map(|asked| {
            let works = u8::from(asked.report.works());
            (labels(asked, &[]), works.to_string())
        }),
    );
    family(
        &mut text,
        "teredo_probe_answer_seconds",
        "Time from question to answer.",
        asked.iter().flat_map(answers),
    );
    family(
        &mut text,
        "teredo_probe_fault",
        "Why no client could use the server.",
        asked.iter().flat_map(|asked| {
            let faults = asked.report.faults.iter();
            faults.map(|fault| one(asked, "fault", fault.code()))
        }),
    );
    family(
        &mut text,
        "teredo_probe_warning",
        "What is odd of a server that works.",
        asked.iter().flat_map(|asked| {
            let warnings = asked.report.warnings.iter();
            warnings.map(|warning| one(asked, "warning", warning.code()))
        }),
    );
    family(
        &mut text,
        "teredo_probe_nat",
        "Kind of the NAT between this host and the server.",
        asked.iter().filter_map(|asked| {
            let nat = asked.report.nat?;
            Some(one(asked, "kind", nat.kind.as_str()))
        }),
    );
    family(
        &mut text,
        "teredo_probe_mtu_bytes",
        "MTU that the server advertises.",
        asked.iter().filter_map(|asked| {
            let mtu = asked.report.primary?.mtu;
            Some((labels(asked, &[]), mtu.to_string()))
        }),
    );
    family(
        &mut text,
        "teredo_probe_time_seconds",
        "When the servers were asked, in seconds since 1970.",
        [(String::new(), now().to_string())].into_iter(),
    );
    text
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

/// A metric with its samples, each series once: a second one would spoil the whole file.
fn family(
    text: &mut String,
    name: &str,
    help: &str,
    samples: impl Iterator<Item = (String, String)>,
) {
    let mut seen = BTreeSet::new();
    let mut lines = String::new();
    for (labels, value) in samples {
        if seen.insert(labels.clone()) {
            lines.push_str(&format!("{name}{labels} {value}\n"));
        }
    }
    if !lines.is_empty() {
        text.push_str(&format!(
            "# HELP {name} {help}\n# TYPE {name} gauge\n{lines}"
        ));
    }
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

/// Neither host names nor our own words hold anything that would have to be escaped.
fn labels(asked: &Asked, further: &[(&str, &str)]) -> String {
    let mut text = format!("{{server=\"{}\"", asked.given);
    for (label, value) in further {
        text.push_str(&format!(",{label}=\"{value}\""));
    }
    text.push('}');
    text
}

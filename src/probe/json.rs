//! What a program reads: an object a line. Names stay; new ones may come.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::answer::Answer;
use super::rounds::Asked;
use super::summary::Summary;

/// An object as one line.
#[must_use]
pub fn line(object: &impl Serialize) -> String {
    // Only maps with keys that are no strings fail, and there are none.
    serde_json::to_string(object).unwrap_or_default()
}

/// The verdict on one server.
#[must_use]
pub fn verdict(asked: &Asked) -> String {
    let report = &asked.report;
    let target = &report.target;
    let nat = report.nat.as_ref();
    let milliseconds = |answer: &Option<Answer>| answer.map(|answer| milliseconds(answer.after));
    let text = |answer: Option<Answer>, say: fn(Answer) -> String| answer.map(say);
    line(&Verdict {
        event: "verdict",
        time: now(),
        server: &asked.given,
        primary: (!target.primary.is_unspecified()).then(|| target.primary.to_string()),
        secondary: target.secondary.map(|secondary| secondary.to_string()),
        works: report.works(),
        faults: report
            .faults
            .iter()
            .map(|fault| Coded::new(fault.code(), fault))
            .collect(),
        warnings: report
            .warnings
            .iter()
            .map(|warning| Coded::new(warning.code(), warning))
            .collect(),
        nat: nat.map(|nat| nat.kind.as_str()),
        port_preserving: nat.map(|nat| nat.preserves_ports),
        port_step: nat.and_then(|nat| nat.step),
        filtered: nat.map(|nat| nat.filtered),
        prefix: text(report.primary, |answer| format!("{}/64", answer.prefix)),
        mtu: report.primary.map(|answer| answer.mtu),
        mapped_address: text(report.primary, |answer| answer.mapped.to_string()),
        teredo_address: report.address.map(|address| address.to_ipv6().to_string()),
        answer_ms: milliseconds(&report.primary),
        secondary_answer_ms: milliseconds(&report.secondary),
        cone_answer_ms: milliseconds(&report.cone),
    })
}

/// What many rounds came to, for one server.
#[must_use]
pub fn summary(name: &str, summary: &Summary) -> String {
    line(&Rounds {
        event: "summary",
        time: now(),
        server: name,
        rounds: summary.rounds,
        worked: summary.worked,
        answer_min_ms: summary.shortest.map(milliseconds),
        answer_avg_ms: summary.average().map(milliseconds),
        answer_max_ms: summary.longest.map(milliseconds),
    })
}

/// Seconds since 1970, UTC.
#[must_use]
pub fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let milliseconds = now.unwrap_or_default().as_millis();
    milliseconds as f64 / 1000.0
}

/// Milliseconds, to the microsecond.
#[must_use]
pub fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

#[derive(Serialize)]
struct Verdict<'a> {
    event: &'static str,
    time: f64,
    server: &'a str,
    primary: Option<String>,
    secondary: Option<String>,
    works: bool,
    faults: Vec<Coded>,
    warnings: Vec<Coded>,
    nat: Option<&'static str>,
    port_preserving: Option<bool>,
    port_step: Option<i32>,
    filtered: Option<bool>,
    prefix: Option<String>,
    mtu: Option<u32>,
    mapped_address: Option<String>,
    teredo_address: Option<String>,
    answer_ms: Option<f64>,
    secondary_answer_ms: Option<f64>,
    cone_answer_ms: Option<f64>,
}

#[derive(Serialize)]
struct Coded {
    code: &'static str,
    text: String,
}

impl Coded {
    fn new(code: &'static str, text: impl ToString) -> Self {
        Self {
            code,
            text: text.to_string(),
        }
    }
}

#[derive(Serialize)]
struct Rounds<'a> {
    event: &'static str,
    time: f64,
    server: &'a str,
    rounds: u64,
    worked: u64,
    answer_min_ms: Option<f64>,
    answer_avg_ms: Option<f64>,
    answer_max_ms: Option<f64>,
}

/// That a client got no address.
#[must_use]
pub fn failed(server: &str, why: &str) -> String {
    line(&serde_json::json!({"event": "failed", "time": now(), "server": server, "text": why}))
}

//! What a person reads.

use std::time::Duration;

use super::inquiry::{Inquiry, Outcome};
use super::question::Question;
use super::verdict::Report;

/// That a question is asked now. Nothing for the one that only completes another.
#[must_use]
pub fn asking(inquiry: &Inquiry, question: Question) -> Option<String> {
    let target = inquiry.target();
    let (primary, secondary) = (target.primary, target.secondary);
    match (question, secondary) {
        (Question::Primary, _) => Some(format!("asking {primary}")),
        (Question::Cone, Some(secondary)) => Some(format!(
            "asking {primary} with the cone bit: {secondary} answers, if no NAT keeps it out"
        )),
        (Question::Second, Some(secondary)) => Some(format!(
            "asking {primary} and {secondary} from one port: a symmetric NAT shows each another"
        )),
        _ => None,
    }
}

/// What became of a question.
#[must_use]
pub fn decided(inquiry: &Inquiry, question: Question) -> Option<String> {
    let to = question.to(inquiry.target())?.ip().to_string();
    let (whom, mapped) = match question {
        Question::Primary => (to, true),
        Question::Cone => (format!("{to}, cone bit"), false),
        Question::Second => (to, true),
        Question::First => return None,
    };
    let what = match inquiry.outcome(question) {
        Outcome::Answered(answer) if question == Question::Cone => {
            format!(
                "{} answered after {}",
                answer.from.ip(),
                milliseconds(answer.after)
            )
        }
        Outcome::Answered(answer) if mapped => format!(
            "answered after {}: prefix {}/64, MTU {}, mapped address {}",
            milliseconds(answer.after),
            answer.prefix,
            answer.mtu,
            answer.mapped
        ),
        Outcome::Answered(answer) => format!("answered after {}", milliseconds(answer.after)),
        Outcome::Unfit { from, why } => format!("{from} sent {why}"),
        Outcome::Refused => "refused".to_owned(),
        Outcome::Failed(why) => why,
        Outcome::Silent => "no answer".to_owned(),
        Outcome::Unasked => return None,
    };
    Some(format!("{whom}: {what}"))
}

/// The verdict on one server, in lines.
#[must_use]
pub fn verdict(name: &str, report: &Report) -> String {
    let mut lines = vec![format!("{name}: {}", in_short(report))];
    lines.extend(
        report
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}")),
    );
    if report.works() {
        let nat = report.nat.map(|nat| format!("NAT: {nat}"));
        lines.push(nat.unwrap_or_else(|| "NAT: unknown; answers were lost".to_owned()));
        let address = report.address.map(|address| address.to_ipv6());
        lines.extend(address.map(|address| format!("Teredo address: {address}")));
    }
    lines.join("\n")
}

/// A round in one line.
#[must_use]
pub fn round(name: &str, report: &Report) -> String {
    let nat = report.nat.map(|nat| format!(", NAT {}", nat.kind.as_str()));
    format!("{name}: {}{}", in_short(report), nat.unwrap_or_default())
}

/// Whether it works, and why not.
#[must_use]
pub fn in_short(report: &Report) -> String {
    match (report.works(), report.after()) {
        (true, Some(after)) => format!("works, answers after {}", milliseconds(after)),
        (true, None) => "works".to_owned(),
        (false, _) if report.is_unknown() => {
            let why = report.faults.first().map(ToString::to_string);
            format!("could not be asked: {}", why.unwrap_or_default())
        }
        (false, _) => {
            let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
            format!("does not work: {}", faults.join("; "))
        }
    }
}

/// A time as people compare it.
#[must_use]
pub fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

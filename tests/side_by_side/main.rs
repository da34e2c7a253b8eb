//! Debian's C `miredo-server` and ours, side by side: the same datagrams in, and every difference in what comes out
//! listed. Each difference has to be as a row of the README's table of differences says, and each row has to be seen.
//!
//! - [`packet`] builds datagrams, [`cases`] has them by family.
//! - [`bench`] holds one running server: what goes in and everything that comes out.
//! - [`rows`] says for each row of the table what ours sends, given what the C server sent; [`table`] reads the table.
#![cfg(test)] // Clippy lets test code panic where it says so.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow fails the test, as it should"
)]

mod bench;
mod cases;
#[path = "../lab/mod.rs"]
mod lab;
mod packet;
mod rows;
mod table;

use std::collections::BTreeMap;

use bench::{Bench, Sent};
use cases::Case;
use lab::Subject;

const REFERENCE: &str = "/usr/sbin/miredo-server";

#[test]
fn every_difference_is_in_the_readme() {
    if !lab::require(&["ip", REFERENCE]) {
        return;
    }
    let mut reference = Bench::new(&Subject::at(REFERENCE), "");
    // One worker, so that datagrams are answered in the order in which they were sent, as the C server does.
    let mut ours = Bench::new(&Subject::ours(), "Workers 1\n");
    let cases = cases::all();
    let mut faults = Vec::new();
    let mut seen = BTreeMap::new();
    for case in &cases {
        let bare = reference.exchange(case.from, case.to, &case.bytes);
        let theirs = rows::with_origin(case, &bare);
        let ours = ours.exchange(case.from, case.to, &case.bytes);
        if theirs != ours {
            println!("{}", difference(case, &theirs, &ours));
        }
        faults.extend(judge(case, &theirs, &ours));
        if case.row.is_none() && theirs != bare {
            *seen.entry(rows::OTHER_SERVERS).or_insert(0) += 1;
        }
        if let Some(row) = case.row {
            *seen.entry(row.id).or_insert(0) += 1;
        }
    }
    println!("{} cases, differences by row: {seen:#?}", cases.len());
    let table = table::ids();
    let unseen = table.iter().filter(|id| !seen.contains_key(id.as_str()));
    faults.extend(unseen.map(|id| format!("no case shows the README's row `{id}`")));
    let undocumented = seen.keys().filter(|id| !table.contains(**id));
    faults.extend(
        undocumented.map(|id| format!("the README's table of differences has no row `{id}`")),
    );
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// What is wrong with the outcome of one case, if anything is.
fn judge(case: &Case, theirs: &[Sent], ours: &[Sent]) -> Option<String> {
    let Some(row) = case.row else {
        return (theirs != ours)
            .then(|| format!("undocumented: {}", difference(case, theirs, ours)));
    };
    if theirs == ours {
        return Some(format!(
            "{}: should differ as row `{}` says, but does not",
            case.name, row.id
        ));
    }
    let expected = (row.ours)(case, theirs);
    (expected != ours).then(|| {
        format!(
            "not as row `{}` says: {}\n  expected  {expected:?}",
            row.id,
            difference(case, theirs, ours)
        )
    })
}

fn difference(case: &Case, theirs: &[Sent], ours: &[Sent]) -> String {
    let row = case.row.map_or("no row", |row| row.id);
    format!(
        "{} ({row})\n  C server  {theirs:?}\n  ours      {ours:?}",
        case.name
    )
}

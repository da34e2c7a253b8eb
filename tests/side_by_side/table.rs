//! The README's table of differences.

use std::collections::BTreeSet;
use std::fs;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const BEGIN: &str = "<!-- differences: begin -->";
const END: &str = "<!-- differences: end -->";

/// The identifiers in the table's first column, where they stand in backquotes.
pub(crate) fn ids() -> BTreeSet<String> {
    let readme = fs::read_to_string(README).expect("README.md has the table of differences");
    let (_, rest) = readme
        .split_once(BEGIN)
        .expect("README.md marks where its table of differences begins");
    let (table, _) = rest
        .split_once(END)
        .expect("README.md marks where its table of differences ends");
    let mut ids = BTreeSet::new();
    for line in table.lines() {
        let Some((id, _)) = line
            .strip_prefix("| `")
            .and_then(|line| line.split_once('`'))
        else {
            continue;
        };
        assert!(ids.insert(id.to_owned()), "README.md has `{id}` twice");
    }
    ids
}

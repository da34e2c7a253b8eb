//! The faults of one file, as many as anybody reads.

use super::diagnostic::{Diagnostic, Severity};

/// Most faults that are reported, unless more than these are errors.
const MOST: usize = 20;

/// All errors, and the first warnings. Errors are few: they are in values, and each directive has one value. A file may have a
/// warning in each line.
#[derive(Debug, Default)]
pub(super) struct Faults {
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// Warnings that are counted alone.
    more: usize,
    /// Those of another file, which the first one names.
    elsewhere: Vec<Diagnostic>,
}

impl Faults {
    /// Adds a fault that at most one line of a file has.
    pub(super) fn push(&mut self, fault: Diagnostic) {
        match fault.severity {
            Severity::Error => self.errors.push(fault),
            Severity::Warning => self.warnings.push(fault),
        }
    }

    /// Adds a warning that any line may have. It is made only if it may be reported.
    pub(super) fn warn(&mut self, warning: impl FnOnce() -> Diagnostic) {
        match self.warnings.len() < MOST {
            true => self.push(warning()),
            false => self.more = self.more.saturating_add(1),
        }
    }

    /// Adds the faults of another file, as many as are to be reported.
    pub(super) fn append(&mut self, mut elsewhere: Vec<Diagnostic>) {
        self.elsewhere.append(&mut elsewhere);
    }

    /// Whether there is an error.
    pub(super) fn failed(&self) -> bool {
        let is_error = |fault: &Diagnostic| fault.severity == Severity::Error;
        !self.errors.is_empty() || self.elsewhere.iter().any(is_error)
    }

    /// What is reported, in the order of the lines; then, how many more warnings there are, and the other file's.
    pub(super) fn into_diagnostics(
        mut self,
        how_many: impl FnOnce(String) -> Diagnostic,
    ) -> Vec<Diagnostic> {
        let place = |fault: &Diagnostic| match &fault.at {
            Some(at) => (at.line, at.column),
            None => (usize::MAX, 0),
        };
        self.warnings.sort_by_key(place);
        let room = MOST.saturating_sub(self.errors.len());
        let left = self.warnings.len().saturating_sub(room);
        self.warnings.truncate(room);
        let more = self.more.saturating_add(left);
        let mut shown = self.errors;
        shown.append(&mut self.warnings);
        shown.sort_by_key(place);
        if more > 0 {
            shown.push(how_many(format!("further warnings, not shown: {more}")));
        }
        shown.append(&mut self.elsewhere);
        shown
    }
}

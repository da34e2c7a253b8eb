//! Faults of a configuration, shown with the line and a caret beneath it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::escape::{Escaped, cell};

/// Most characters of a source line that are shown; a longer one is cut around the fault.
const SHOWN: usize = 72;

/// Whether a fault keeps the configuration from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    /// No configuration comes of this file.
    Error,
    /// The line, or a part of it, is ignored.
    Warning,
}

/// A place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// First character of the fault in the line, from 1.
    pub column: usize,
    /// Characters that the fault covers, at least 1.
    pub width: usize,
    /// The line itself, without its end.
    pub source: String,
}

/// One fault, and what to do about it.
///
/// `Display` takes several lines, for a terminal; [`Diagnostic::headline`] takes one, for a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Whether the configuration can be used in spite of it.
    pub severity: Severity,
    /// The file, or a name for what stands in its place.
    pub path: PathBuf,
    /// Where in the file, unless the fault concerns all of it.
    pub at: Option<Position>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// The fault in one line: `path:line:column: error: message (help)`.
    pub fn headline(&self) -> impl fmt::Display + '_ {
        Headline(self)
    }

    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Escaped(&self.path.to_string_lossy()))?;
        if let Some(at) = &self.at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {severity}: {}", Escaped(&self.message))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        if let Some(at) = &self.at {
            write!(f, "\n{at}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\n    help: {}", Escaped(help)),
            None => Ok(()),
        }
    }
}

struct Headline<'a>(&'a Diagnostic);

impl fmt::Display for Headline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.head(f)?;
        match &self.0.help {
            Some(help) => write!(f, " ({})", Escaped(help)),
            None => Ok(()),
        }
    }
}

/// The source line and, beneath it, carets under the fault.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.column.saturating_sub(1);
        let length = self.source.chars().count();
        let start = match length > SHOWN {
            true => before.saturating_sub(SHOWN / 2),
            false => 0,
        };
        let shown = || self.source.chars().map(cell).skip(start).take(SHOWN);

        let left = if start > 0 { "..." } else { "" };
        let right = match length > start.saturating_add(SHOWN) {
            true => "...",
            false => "",
        };
        writeln!(f, "    {left}{}{right}", shown().collect::<String>())?;

        let wide = |cells: &mut dyn Iterator<Item = String>| -> usize {
            cells.map(|cell| cell.chars().count()).sum()
        };
        let skipped = before.saturating_sub(start);
        let indent = wide(&mut shown().take(skipped)).saturating_add(left.len());
        let carets = wide(&mut shown().skip(skipped).take(self.width)).max(1);
        write!(f, "    {:indent$}{:^<carets$}", "", "")
    }
}

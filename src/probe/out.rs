//! Standard output, whose reader may have had enough.

use std::fmt;
use std::io::{self, Write};

/// Standard output, a line at a time.
#[derive(Debug, Default)]
pub struct Out {
    closed: bool,
}

impl Out {
    /// Writes a line at once. Where nobody reads any more, or the disk is full, it is let go: the exit status still counts.
    pub fn line(&mut self, line: impl fmt::Display) {
        if self.closed {
            return;
        }
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{line}").and_then(|()| out.flush());
        if let Err(error) = written {
            self.closed = true;
            if error.kind() != io::ErrorKind::BrokenPipe {
                print_error(format_args!("write standard output: {error}"));
            }
        }
    }

    /// Whether going on is of no use to anybody.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Writes an error to standard error. Not eprintln, which panics where that is closed.
pub fn print_error(words: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "teredo-probe: {words}");
}

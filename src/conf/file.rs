//! The directives of one file, as a layer for `config`.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use config::{Map, Source, Value, ValueKind};

use super::diagnostic::{Diagnostic, Position, Severity};
use super::directive::{self, Directive};
use super::faults::Faults;
use super::scan::{self, Line, Word};
use super::value::clip;

/// What a file sets: at most one line a directive, the first, each with a value.
#[derive(Clone, Debug)]
pub(super) struct File {
    path: PathBuf,
    lines: Vec<(Directive, Line)>,
}

impl File {
    /// Reads the lines, and reports those that set nothing.
    pub(super) fn read(path: &Path, text: &str, faults: &mut Faults) -> Self {
        let path = path.to_owned();
        let lines = Vec::new();
        let mut file = Self { path, lines };
        if let Some(at) = scan::byte_order_mark(text) {
            let message = "a byte order mark, ignored";
            let help = Some("save the file as UTF-8 without it".to_owned());
            faults.push(file.fault(Severity::Warning, Some(at), message, help));
        }
        for line in scan::lines(text) {
            file.take(line, faults);
        }
        file
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The line that sets a directive.
    pub(super) fn line(&self, directive: Directive) -> Option<&Line> {
        let mut lines = self.lines.iter();
        lines.find_map(|(of, line)| (*of == directive).then_some(line))
    }

    /// Removes what the file says of a directive.
    pub(super) fn remove(&mut self, directive: Directive) {
        self.lines.retain(|(of, _)| *of != directive);
    }

    /// The path of another file that this one names.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(name)
    }

    /// A fault somewhere in this file.
    pub(super) fn fault(
        &self,
        severity: Severity,
        at: Option<Position>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Diagnostic {
        let path = self.path.clone();
        let message = message.into();
        Diagnostic {
            severity,
            path,
            at,
            message,
            help,
        }
    }

    fn take(&mut self, line: Line, faults: &mut Faults) {
        let warning =
            |at, message: String, help| self.fault(Severity::Warning, Some(at), message, help);
        let name = &line.name.text;
        let Some(directive) = Directive::named(name) else {
            faults.warn(|| {
                let message = format!("unknown directive {}, ignored", clip(name));
                warning(line.at(&line.name), message, directive::advice(name))
            });
            return;
        };
        if line.words.is_empty() {
            faults.warn(|| {
                let message = format!("{directive} has no value, ignored");
                warning(line.at(&line.name), message, None)
            });
            return;
        }
        if let Some(first) = self.line(directive) {
            faults.warn(|| {
                let first = first.number();
                let message = format!("{directive} again, ignored: line {first} sets it");
                warning(line.at(&line.name), message, None)
            });
            return;
        }
        let extra = line.words.get(directive.words()..).unwrap_or_default();
        if let [first, .., last] | [first @ last] = extra {
            let message = format!("further words after the value of {directive}, ignored");
            let help = Some(help_for_extra(directive, &line));
            faults.push(warning(line.between(first, last), message, help));
        }
        self.lines.push((directive, line));
    }
}

/// What to do about words too many.
fn help_for_extra(directive: Directive, line: &Line) -> String {
    let address = |word: &Word| word.text.trim_end_matches(',').parse::<Ipv4Addr>().ok();
    let two = match line.words.as_slice() {
        [first, second, ..] => address(first).and(address(second)),
        _ => None,
    };
    match two {
        Some(second) if directive == Directive::ServerBindAddress => {
            let secondary = Directive::ServerBindAddress2;
            format!("the secondary address has a line of its own: {secondary} {second}")
        }
        _ => "a comment starts with #".to_owned(),
    }
}

impl Source for File {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    /// Each directive in lower case, its words with one space between them, from `path:line`.
    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let value = |(directive, line): &(Directive, Line)| {
            let words = line.words.iter().take(directive.words());
            let words: Vec<&str> = words.map(|word| word.text.as_str()).collect();
            let origin = format!("{}:{}", self.path.display(), line.number());
            let value = Value::new(Some(&origin), ValueKind::String(words.join(" ")));
            (directive.key(), value)
        };
        Ok(self.lines.iter().map(value).collect())
    }
}

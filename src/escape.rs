//! Text from elsewhere, for a terminal or a log.

use std::fmt;

/// Text that cannot disturb a terminal or a log.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_str(&cell(c)))
    }
}

/// How one character is shown: a tab as one space, so that carets stay beneath what they mean,
/// and everything that is not plainly visible as an escape.
pub(crate) fn cell(c: char) -> String {
    match c {
        '\t' => " ".to_owned(),
        ' '..='~' => c.to_string(),
        _ => c.escape_debug().to_string(),
    }
}

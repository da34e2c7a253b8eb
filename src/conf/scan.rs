//! Lines and words, with their places.

use super::diagnostic::Position;

/// A line that holds at least one word outside its comment.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Line number, from 1.
    number: usize,
    text: String,
    /// The directive's name.
    pub(super) name: Word,
    /// What follows the name.
    pub(super) words: Vec<Word>,
}

/// A run of characters other than white space.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    /// First character in its line, from 1.
    column: usize,
}

/// What some editors write at the start of a file in UTF-8. It is white space there.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The place of a byte order mark, if the text begins with one.
pub(super) fn byte_order_mark(text: &str) -> Option<Position> {
    let line = text.split('\n').next()?;
    line.starts_with(BYTE_ORDER_MARK).then(|| Position {
        line: 1,
        column: 1,
        width: 1,
        source: line.trim_end_matches(is_space).to_owned(),
    })
}

/// All lines that are neither blank nor comments.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line> {
    (1..).zip(text.split('\n')).filter_map(|(number, text)| {
        let mut words = words(text, number == 1).into_iter();
        Some(Line {
            number,
            text: text.trim_end_matches(is_space).to_owned(),
            name: words.next()?,
            words: words.collect(),
        })
    })
}

impl Line {
    /// The place of one word.
    pub(super) fn at(&self, word: &Word) -> Position {
        self.between(word, word)
    }

    /// The place from one word to another in this line.
    pub(super) fn between(&self, first: &Word, last: &Word) -> Position {
        let end = last.column.saturating_add(last.text.chars().count());
        Position {
            line: self.number,
            column: first.column,
            width: end.saturating_sub(first.column),
            source: self.text.clone(),
        }
    }

    /// Line number, from 1.
    pub(super) fn number(&self) -> usize {
        self.number
    }
}

/// The words of a line up to one that starts with `#`.
fn words(text: &str, is_first_line: bool) -> Vec<Word> {
    parts(text, is_first_line)
        .map(|(column, text)| Word {
            text: text.to_owned(),
            column,
        })
        .collect()
}

/// The words of a line up to one that starts with `#`, each after its first character in the line, from 1. Nothing is copied.
pub(super) fn parts(text: &str, is_first_line: bool) -> impl Iterator<Item = (usize, &str)> {
    let marked = text.strip_prefix(BYTE_ORDER_MARK).filter(|_| is_first_line);
    let mut next: usize = if marked.is_some() { 2 } else { 1 };
    marked
        .unwrap_or(text)
        .split(is_space)
        .map(move |part| {
            let column = next;
            next = next.saturating_add(part.chars().count()).saturating_add(1);
            (column, part)
        })
        .filter(|(_, part)| !part.is_empty())
        .take_while(|(_, part)| !part.starts_with('#'))
}

/// isspace(3) in the C locale: the C server parts words at a vertical tab too.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0b' | '\x0c' | '\r')
}

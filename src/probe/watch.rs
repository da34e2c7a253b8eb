//! What every command does: a round in which a person watches, and an exit status.

use std::process::ExitCode;
use std::time::Instant;

use super::inquiry::Event;
use super::out::Out;
use super::rounds::{self, Asked, Note, look_up};
use super::stop::Stop;
use super::{packet, text};
use crate::cli::probe::Options;

/// What keeps the command from an answer, told.
pub type Fault = Box<dyn std::error::Error>;

/// Looks up the servers of the options and asks them; nothing comes of it where somebody stops it.
///
/// # Errors
/// Of the system's calls.
pub fn round(
    options: &Options,
    stop: &mut Stop,
    out: &mut Out,
) -> Result<Option<Vec<Asked>>, Fault> {
    let now = Instant::now();
    let deadline = now.checked_add(options.timeout).unwrap_or(now);
    let candidates = look_up(options, &options.servers(), deadline);
    let asked = rounds::ask(options, &candidates, deadline, stop, &mut |note| {
        watch(options, out, note);
    });
    Ok(asked?)
}

/// Tells people what goes on while it does.
pub fn watch(options: &Options, out: &mut Out, note: Note<'_>) {
    if options.json || options.monitor || options.prometheus.is_some() {
        return;
    }
    let line = match note {
        Note::Sent(datagram) if options.verbose => {
            let what = packet::describe(&datagram.bytes);
            Some(format!("> {}: {what}", datagram.to))
        }
        Note::Received(from, bytes) if options.verbose => {
            Some(format!("< {from}: {}", packet::describe(bytes)))
        }
        // A line a round is enough.
        _ if options.interval.is_some() => None,
        Note::Event(inquiry, Event::Asked(question)) => text::asking(inquiry, question),
        Note::Event(inquiry, Event::Decided(question)) => text::decided(inquiry, question),
        Note::Sent(_) | Note::Received(..) => None,
    };
    if let Some(line) = line {
        out.line(line);
    }
}

/// The exit status of a command that judges.
#[must_use]
pub fn judged(works: bool) -> ExitCode {
    match works {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

//! The command: options in, exit status out.

use std::process::ExitCode;

use super::inquiry::Event;
use super::out::{Out, complain};
use super::rounds::{self, Asked, Note, look_up};
use super::{packet, text};
use crate::cli::probe::Options;

/// Does what the options say.
#[must_use]
pub fn run(options: &Options) -> ExitCode {
    let mut out = Out::default();
    match ask(options, &mut out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

fn ask(options: &Options, out: &mut Out) -> Result<bool, platform::OsError> {
    let candidates = look_up(options, &options.servers);
    let asked = rounds::ask(options, &candidates, &mut |note| watch(options, out, note))?;
    for Asked { name, report, .. } in &asked {
        out.line(text::verdict(name, report));
    }
    Ok(asked.iter().all(|asked| asked.report.works()))
}

fn watch(options: &Options, out: &mut Out, note: Note<'_>) {
    let line = match note {
        Note::Event(inquiry, Event::Asked(question)) => text::asking(inquiry, question),
        Note::Event(inquiry, Event::Decided(question)) => text::decided(inquiry, question),
        Note::Sent(datagram) if options.verbose => {
            let what = packet::describe(&datagram.bytes);
            Some(format!("> {}: {what}", datagram.to))
        }
        Note::Received(from, bytes) if options.verbose => {
            Some(format!("< {from}: {}", packet::describe(bytes)))
        }
        Note::Sent(_) | Note::Received(..) => None,
    };
    if let Some(line) = line {
        out.line(line);
    }
}

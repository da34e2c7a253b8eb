//! The command: options in, exit status out.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::CommandFactory;

use super::out::{Out, print_error};
use super::rounds::Asked;
use super::session::{self, Task};
use super::sockets::wait;
use super::stop::Stop;
use super::summary::Summary;
use super::watch::{Fault, judged, round};
use super::{json, monitor, prometheus, text};
use crate::cli::{self, probe::Options};

/// Does what the options say.
#[must_use]
pub fn run(options: &Options) -> ExitCode {
    let mut out = Out::default();
    let done = match Task::of(options) {
        Some(task) => session::run(options, task, &mut out),
        None => match options.interval {
            Some(interval) => rounds(options, interval, &mut out),
            None => once(options, &mut out),
        },
    };
    done.unwrap_or_else(|error| {
        if options.monitor {
            out.line(monitor::unknown(&error.to_string()));
            return ExitCode::from(monitor::Status::Unknown.code());
        }
        print_error(error);
        ExitCode::FAILURE
    })
}

fn once(options: &Options, out: &mut Out) -> Result<ExitCode, Fault> {
    let Some(asked) = round(options, &mut Stop::default(), out)? else {
        return Ok(ExitCode::FAILURE);
    };
    if options.monitor {
        let (line, status) = monitor::check(options, &asked);
        out.line(line);
        return Ok(ExitCode::from(status.code()));
    }
    tell(options, &asked, out, |asked| {
        text::verdict(&asked.name, &asked.report)
    })?;
    Ok(judged(asked.iter().all(|asked| asked.report.works())))
}

/// A line a round, and a summary at the end, as ping(8).
fn rounds(options: &Options, interval: Duration, out: &mut Out) -> Result<ExitCode, Fault> {
    let mut stop = Stop::catch()?;
    let mut summaries: BTreeMap<String, Summary> = BTreeMap::new();
    let mut left = options.count;
    while left != Some(0) && !stop.is_asked() && !out.is_closed() {
        let next = Instant::now().checked_add(interval);
        let Some(asked) = round(options, &mut stop, out)? else {
            break;
        };
        for asked in &asked {
            summaries
                .entry(asked.given.clone())
                .or_default()
                .add(&asked.report);
        }
        tell(options, &asked, out, |asked| {
            text::round(&asked.name, &asked.report)
        })?;
        left = left.map(|left| left.saturating_sub(1));
        if left != Some(0) {
            pause(next, &mut stop, || summarize(options, &summaries, out))?;
        }
    }
    summarize(options, &summaries, out);
    let mut all = summaries.values();
    Ok(judged(all.all(|summary| summary.worked == summary.rounds)))
}

/// Waits for the next round, or for the end.
fn pause(
    until: Option<Instant>,
    stop: &mut Stop,
    mut summarize: impl FnMut(),
) -> Result<(), Fault> {
    while let Some(until) = until.filter(|until| *until > Instant::now()) {
        if stop.is_asked() {
            break;
        }
        if stop.wants_report() {
            summarize();
        }
        wait(stop.descriptor().into_iter(), until)?;
    }
    Ok(())
}

/// The outcome of a round, in the form that was asked for.
fn tell(
    options: &Options,
    asked: &[Asked],
    out: &mut Out,
    text: impl Fn(&Asked) -> String,
) -> Result<(), Fault> {
    match &options.prometheus {
        Some(Some(path)) => prometheus::write(path, &prometheus::metrics(asked))?,
        Some(None) => out.line(prometheus::metrics(asked).trim_end()),
        None => {
            for asked in asked {
                let line = match options.json {
                    true => json::verdict(asked),
                    false => text(asked),
                };
                out.line(line);
            }
        }
    }
    Ok(())
}

fn summarize(options: &Options, summaries: &BTreeMap<String, Summary>, out: &mut Out) {
    if options.prometheus.is_some() {
        return;
    }
    for (server, summary) in summaries {
        let line = match options.json {
            true => json::summary(server, summary),
            false => summary.text(server),
        };
        out.line(line);
    }
}

/// Tells what is wrong with the command line: to a monitor in its own way. Help and version are no faults.
#[must_use]
pub fn refuse(error: &clap::Error) -> ExitCode {
    let is_plugin = std::env::args_os().any(|argument| argument == "--monitor");
    if error.use_stderr() && is_plugin {
        let said = error.to_string();
        // Up to the usage, which is not for one line.
        let said = said
            .lines()
            .map(str::trim)
            .take_while(|line| !line.is_empty());
        let said = said.collect::<Vec<_>>().join(" ");
        Out::default().line(monitor::unknown(said.trim_start_matches("error: ")));
        return ExitCode::from(monitor::Status::Unknown.code());
    }
    ExitCode::from(cli::refuse(error, &mut Options::command()))
}

//! The process that attaches programs to network interfaces, as it sees itself: with all the privilege of the monitor, it loads
//! and attaches, passes on what keeps them attached, and ends. What it needs for that, in memory and in code, the monitor has
//! not, and nobody but the monitor tells it anything.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`messages`] | what the monitor tells it, and it the monitor |
//! | [`task`] | at which interfaces, by which rules |

use std::ffi::OsString;
use std::os::fd::{OwnedFd, RawFd};
use std::process::ExitCode;

use platform::accelerator::{Accelerator, Attachment};
use platform::{Here, Inherited};

use super::Fault;
use super::messages::{TIMEOUT, VERSION, one_line};
use super::start;

pub mod messages;
pub mod task;

use messages::{FromAccelerator, MonitorChannel, Outcome, ToAccelerator};
use task::Task;

/// The first argument of an accelerator. The descriptor of the stream to the monitor follows.
const ACCELERATOR: &str = "--accelerator";

/// What to start an accelerator with.
pub fn arguments(control: RawFd) -> [String; 2] {
    [ACCELERATOR.to_owned(), control.to_string()]
}

/// The descriptor of the stream to the monitor, in a process that was started as an accelerator.
pub fn control_of_accelerator(arguments: impl Iterator<Item = OsString>) -> Option<RawFd> {
    start::control_of(ACCELERATOR, arguments)
}

/// Runs as an accelerator to its end.
pub fn main(control: RawFd) -> ExitCode {
    let (inherited, stream) = match start::claim(control) {
        Ok(claimed) => claimed,
        Err(fault) => return start::fail_on_stderr(&fault),
    };
    let mut monitor: MonitorChannel =
        match start::connect(stream, "the accelerator", FromAccelerator::failed) {
            Ok(monitor) => monitor,
            Err(fault) => return start::fail_on_stderr(&fault),
        };
    let done = accelerate(inherited, &mut monitor).map(FromAccelerator::Done);
    let last = done.unwrap_or_else(|fault| FromAccelerator::failed(&fault.to_string()));
    match (monitor.send(&last, TIMEOUT), last) {
        (Ok(()), FromAccelerator::Done(_)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Does what the monitor orders; the outcomes are in the order of the interfaces.
fn accelerate(
    mut inherited: Inherited,
    monitor: &mut MonitorChannel,
) -> Result<Vec<Outcome>, Fault> {
    start::leave_the_monitor()?;
    let order = start::take_order(monitor, |message| match message {
        ToAccelerator::Order(order) if order.version == VERSION => Some(*order),
        ToAccelerator::Order(_) => None,
    })?;
    let stream = inherited.take(order.descriptors)?;
    attach(&order.task, &stream)
}

/// Attaches a program at each interface, and passes each link and map through the stream.
fn attach(task: &Task, stream: &OwnedFd) -> Result<Vec<Outcome>, Fault> {
    let mut outcomes = Vec::with_capacity(task.interfaces.len());
    for interface in &task.interfaces {
        outcomes.push(
            match Here::attach(&task.rules(interface), &interface.name) {
                Ok(Attachment {
                    mode,
                    link,
                    counters,
                }) => {
                    platform::send_descriptor(stream, &link)?;
                    platform::send_descriptor(stream, &counters)?;
                    Outcome::Attached(mode)
                }
                Err(error) => Outcome::Refused(one_line(&error.to_string())),
            },
        );
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accelerator_is_known_by_its_first_argument() {
        let read = |words: &[&str]| control_of_accelerator(words.iter().map(OsString::from));
        let [first, second] = arguments(7);
        assert_eq!(read(&["miredo-server", &first, &second]), Some(7));
        assert_eq!(read(&["miredo-server", &first]), None);
        assert_eq!(read(&["miredo-server", &first, "x"]), Some(-1));
        assert_eq!(read(&["miredo-server", "-f", &first]), None);
        assert_eq!(read(&["miredo-server"]), None);
    }
}

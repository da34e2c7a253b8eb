//! The process that serves metrics over HTTP, as it sees itself. It knows what the monitor last told it, and nothing else; to
//! whoever connects it is the one process that reads what they send, so it is confined as a worker is.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`messages`] | what the monitor and an exporter tell each other |
//! | [`connections`] | clients, bounded in number and time |
//! | [`request`] | a request, and the answer to it |
//! | [`accept`] | which format a client wants |
//! | [`page`] | the metrics |

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::{AsFd, RawFd};
use std::process::ExitCode;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use platform::{Inherited, Work};

use super::Fault;
use super::messages::{TIMEOUT, VERSION};
use super::poll::poll_until;
use super::start;
use super::status::Status;
use crate::logging;

pub mod accept;
pub mod connections;
pub mod messages;
pub mod page;
pub mod request;

use connections::Connections;
use messages::{FromExporter, MonitorChannel, ToExporter};

/// The first argument of an exporter. The descriptor of the stream to the monitor follows.
const EXPORTER: &str = "--exporter";

/// What to start an exporter with.
pub fn arguments(control: RawFd) -> [String; 2] {
    [EXPORTER.to_owned(), control.to_string()]
}

/// The descriptor of the stream to the monitor, in a process that was started as an exporter.
pub fn control_of_exporter(arguments: impl Iterator<Item = OsString>) -> Option<RawFd> {
    start::control_of(EXPORTER, arguments)
}

/// Runs as an exporter until the monitor tells it to stop, or is gone.
pub fn main(control: RawFd) -> ExitCode {
    let (inherited, stream) = match start::claim(control) {
        Ok(claimed) => claimed,
        Err(fault) => return start::fail_on_stderr(&fault),
    };
    let mut monitor: MonitorChannel =
        match start::connect(stream, "the exporter", FromExporter::failed) {
            Ok(monitor) => monitor,
            Err(fault) => return start::fail_on_stderr(&fault),
        };
    let (connections, status) = match begin(inherited, &mut monitor) {
        Ok(begun) => begun,
        Err(fault) => {
            let _ = monitor.send(&FromExporter::failed(&fault.to_string()), TIMEOUT);
            return ExitCode::FAILURE;
        }
    };
    match serve(&mut monitor, connections, status) {
        Ok(()) => ExitCode::SUCCESS,
        // There is nobody left to tell.
        Err(_) => ExitCode::FAILURE,
    }
}

fn begin(
    mut inherited: Inherited,
    monitor: &mut MonitorChannel,
) -> Result<(Connections, Status), Fault> {
    start::leave_the_monitor()?;
    let order = start::take_order(monitor, |message| match message {
        ToExporter::Order(order) if order.version == VERSION => Some(*order),
        _ => None,
    })?;
    let sender = monitor.sender();
    let offer = move |line| sender.offer(&FromExporter::Logged(line));
    logging::forward(order.log, Box::new(offer));
    let listener = TcpListener::from(inherited.take(order.listener)?);
    let proof = start::confine(order.owner, order.root.as_ref())?;
    start::lock_down(
        &proof,
        Work::Connections,
        monitor,
        FromExporter::FORBIDDEN_CALL,
    )?;
    Ok((Connections::new(listener), order.status))
}

/// Answers with what the monitor last told.
fn serve(
    monitor: &mut MonitorChannel,
    mut connections: Connections,
    mut status: Status,
) -> io::Result<()> {
    monitor.send(&FromExporter::Ready, TIMEOUT)?;
    loop {
        match monitor.try_receive() {
            Ok(Some(ToExporter::Told(told))) => {
                status = *told;
                continue;
            }
            Ok(Some(ToExporter::Order(_))) => return Err(io::Error::other("a second order")),
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let _ = monitor.flush();
        connections.tend(Instant::now(), &|format| page::page(&status, format));
        let control = [(monitor.as_fd(), monitor.interest())];
        let awaited = control.into_iter().chain(connections.awaited());
        let mut polled: Vec<_> = awaited
            .map(|(descriptor, flags): (_, PollFlags)| PollFd::new(descriptor, flags))
            .collect();
        match poll_until(&mut polled, connections.deadline()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

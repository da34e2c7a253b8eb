//! `--status`: asks a running server what it does.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use platform::OsError;

use super::Fault;
use super::channel::Channel;
use super::statistics::connect;
use super::status::{Nothing, Status};
use crate::cli::Options;
use crate::conf::Diagnostic;

/// How long the server may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the server that was started with these options. Each fault of the configuration goes to `report`.
///
/// # Errors
/// Why there is no answer.
pub fn ask(options: &Options, report: &mut dyn FnMut(&Diagnostic)) -> Result<Status, Fault> {
    let path = socket(options, report)?;
    let socket = connect(&path).map_err(|error| why_not(&path, error))?;
    let channel = Channel::<Status, Nothing>::new(OwnedFd::from(socket).into());
    let mut channel = channel.map_err(|error| OsError::new("ioctl", path.display(), error))?;
    match channel.receive(Some(TIMEOUT)) {
        Ok(Some(status)) => Ok(status),
        Ok(None) => Err(no_answer(&path, "it has too many clients, or ends")),
        Err(error) => Err(no_answer(&path, &error.to_string())),
    }
}

/// Where that server listens.
fn socket(options: &Options, report: &mut dyn FnMut(&Diagnostic)) -> Result<PathBuf, Fault> {
    let statistics = options.load_statistics_socket().map_err(|diagnostics| {
        diagnostics.iter().for_each(report);
        Fault::of_configuration("the configuration has errors")
    })?;
    // A service has its files in a directory of its own, and a link to the process ID file in the usual place.
    let pid_file = options.pid_file();
    let pid_file = pid_file.map(|file| file.canonicalize().unwrap_or(file.to_owned()));
    statistics.path(pid_file.as_deref()).ok_or_else(|| {
        Fault::new(
            "a server with these options tells nothing: StatisticsSocket is off, or, with --local, not given",
        )
    })
}

fn why_not(path: &Path, error: io::Error) -> Fault {
    let kind = error.kind();
    let error = OsError::new("connect", path.display(), error);
    let error = match kind {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            error.remedy("no server runs that was started with the same -c and -p, or it has not read this StatisticsSocket yet")
        }
        ErrorKind::PermissionDenied => {
            error.remedy("ask as root, or as the user who started the server")
        }
        ErrorKind::WouldBlock => error.remedy("too many ask: try again"),
        _ => error,
    };
    error.into()
}

fn no_answer(path: &Path, why: &str) -> Fault {
    Fault::new(format!("{}: no answer of a server: {why}", path.display()))
}

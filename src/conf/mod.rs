//! miredo-server.conf(5): from lines to a configuration without bad values.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `scan` | text to lines of words, with their places |
//! | `directive` | the directives' names and defaults |
//! | `faults` | the faults of a file, as many as anybody reads |
//! | `file` | which line sets which directive; the layer that `config` merges |
//! | `layers` | defaults, file and command line merged; each value read and checked |
//! | `lookup` | the hosts of a configuration, looked up |
//! | `addresses` | the addresses of the server, checked against each other |
//! | `value`, `host`, `facility`, `accelerate` | text to typed values |
//! | `keys` | the file of `SecureQualificationKeys` |
//! | `diagnostic` | a fault with its line and a caret |
//!
//! Every fault of a file is found in one run, and of many warnings the first are reported. The rules are those of the C server: names are compared without regard to case, the
//! first of repeated directives counts, and an unknown one is ignored with a warning.

mod accelerate;
mod addresses;
mod diagnostic;
mod directive;
mod facility;
mod faults;
mod file;
mod host;
mod keys;
mod layers;
mod lookup;
mod scan;
mod value;

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use platform::{EchoPath, OsError};
use serde::{Deserialize, Serialize};

pub use accelerate::Accelerate;
pub use addresses::{Address, Addresses, Public, Secondary};
pub use diagnostic::{Diagnostic, Position, Severity};
pub use directive::{DIRECTIVES, Directive};
pub use facility::Facility;
pub use host::Host;
pub use keys::KeyFile;
pub use lookup::{Hosts, Unresolved};
pub use value::{Fault, ReceiveBuffer, StatisticsSocket, Workers, service_prefix};

use crate::server::Policy;

/// Most bytes of a configuration file. A larger file is no configuration.
pub const MAX_BYTES: u64 = 1 << 20;

/// A configuration without a bad value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `ServerBindAddress` or the command line's server name.
    pub primary: Host,
    /// `ServerBindAddress2`.
    pub secondary: Secondary<Host>,
    /// `PublicAddress`.
    pub public: Public<Host>,
    /// `PublicAddress2`.
    pub public2: Public<Host>,
    /// Everything else.
    pub service: Service,
}

/// What the directives say, but for the addresses, which may still be names. A directive has its field here or, if the server goes
/// by it for each datagram, in [`Policy`], and nowhere else: the monitor keeps this structure and sends it to its worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// What the server goes by for each datagram.
    pub policy: Policy,
    /// The start waits until this host has the addresses. `WaitForAddress`.
    pub wait_for_address: bool,
    /// `SyslogFacility`.
    pub facility: Facility,
    /// `Workers`.
    pub workers: Workers,
    /// `ReceiveBuffer`.
    pub receive_buffer: ReceiveBuffer,
    /// `EchoPath`.
    #[serde(with = "value::SerdeEchoPath")]
    pub echo_path: EchoPath,
    /// `StatisticsSocket`.
    pub statistics: StatisticsSocket,
    /// `MetricsAddress`.
    pub metrics: Option<SocketAddr>,
    /// `Accelerate`.
    pub accelerate: Accelerate,
}

/// What the command line says, which counts more than the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides<'a> {
    /// The command line's `server_name`, in place of `ServerBindAddress`.  The other addresses of the
    /// file belong to the other server then and are ignored; `ServerBindAddress2 none` still holds.
    pub server_name: Option<&'a Host>,
    /// `--local`: private addresses are allowed, and 127.0.0.1 is the default address.
    pub local: bool,
}

/// What reading a file gives.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The configuration; present if and only if no diagnostic is an error.
    pub config: Option<Config>,
    /// The hosts whose addresses to bind.
    pub hosts: Hosts,
    /// All errors and the first warnings, in the order of the lines; of more warnings, how many there are.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a configuration from text, and the file of keys that it names, which may be beside `path`. Names are not looked up.
#[must_use]
pub fn parse(path: &Path, text: &str, overrides: Overrides<'_>) -> Parsed {
    layers::parse(path, text, overrides)
}

/// Reads a configuration file.  A file that cannot be read is a diagnostic that names the call.
#[must_use]
pub fn load(path: &Path, overrides: Overrides<'_>) -> Parsed {
    let error = match read(path) {
        Ok((text, what)) => {
            let mut parsed = parse(path, &text, overrides);
            if let Some(what) = what
                && parsed.config.is_none()
                && text.is_empty()
            {
                let message = format!("{what}, read as an empty file");
                let fault = of_file(path, Severity::Warning, message);
                parsed.diagnostics.insert(0, fault);
            }
            return parsed;
        }
        Err(error) => error,
    };
    let help = (error.kind() == ErrorKind::NotFound).then(|| {
        "write one after miredo-server.conf.sample, or name the server's address on the command \
         line"
            .to_owned()
    });
    Parsed {
        config: None,
        hosts: Hosts::default(),
        diagnostics: vec![Diagnostic {
            help,
            ..of_file(path, Severity::Error, error.to_string())
        }],
    }
}

/// Reads of a configuration file where its server tells what it does, whatever else the file says: the server may have been
/// started with another one.
///
/// # Errors
/// That the file cannot be read, or what is wrong with `StatisticsSocket`.
pub fn load_statistics(path: &Path) -> Result<StatisticsSocket, Vec<Diagnostic>> {
    match read(path) {
        Ok((text, _)) => layers::statistics(path, &text),
        Err(error) => Err(vec![of_file(path, Severity::Error, error.to_string())]),
    }
}

/// A fault of a whole file.
fn of_file(path: &Path, severity: Severity, message: String) -> Diagnostic {
    Diagnostic {
        severity,
        path: path.to_owned(),
        at: None,
        message,
        help: None,
    }
}

/// Reads a configuration file, or none if there is no such file.
#[must_use]
pub fn load_if_present(path: &Path, overrides: Overrides<'_>) -> Parsed {
    match path.try_exists() {
        Ok(false) => parse(path, "", overrides),
        _ => load(path, overrides),
    }
}

/// Opens a FIFO without waiting for a writer: a monitor that waits cannot be stopped. A FIFO that a writer holds open, such as a
/// shell's `<(...)`, is still read to its end.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let file = options
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(file)
}

/// The text of a file, and what the file is if it is not a regular one. Comments may have bytes that are not UTF-8, as those of old files do. In a value they are a fault: the character
/// that replaces them is valid in none.
///
/// # Errors
/// The kind of the system's error, with a message that names the call.
fn read(path: &Path) -> io::Result<(String, Option<&'static str>)> {
    // No object: every diagnostic begins with the path.
    let named = |call| move |error: io::Error| io::Error::from(OsError::new(call, "", error));
    let file = open(path).map_err(named("open"))?;
    let kind = file.metadata().map_err(named("stat"))?.file_type();
    let what = match (kind.is_fifo(), kind.is_char_device()) {
        (true, _) => Some("a FIFO that no process writes to"),
        (_, true) => Some("a device"),
        _ => None,
    };
    let mut bytes = Vec::new();
    let mut limited = file.take(MAX_BYTES.saturating_add(1));
    limited.read_to_end(&mut bytes).map_err(named("read"))?;
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("larger than {MAX_BYTES} bytes: not a configuration file");
        return Err(io::Error::new(ErrorKind::FileTooLarge, message));
    }
    match why_no_text(&bytes) {
        Some(why) => Err(io::Error::new(ErrorKind::InvalidData, why)),
        None => Ok((String::from_utf8_lossy(&bytes).into_owned(), what)),
    }
}

/// Why a file is no text, if it is not. Whoever takes a NUL octet for the end of a line, as C does, and whoever does not
/// would read two configurations in it.
fn why_no_text(bytes: &[u8]) -> Option<String> {
    let before = bytes.get(..bytes.iter().position(|byte| *byte == 0)?)?;
    // Some editors call it Unicode.
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Some("UTF-16: not a configuration file; save it as UTF-8".to_owned());
    }
    let line = before.split(|byte| *byte == b'\n').count();
    Some(format!(
        "a NUL octet in line {line}: not a configuration file"
    ))
}

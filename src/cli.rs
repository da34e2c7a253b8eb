//! The options of miredo-server(8); those of teredo-probe(1) in [`probe`], those of a worker in [`worker`].
//!
//! A port sets its own paths and user when it builds, by these environment variables:
//!
//! | variable | default |
//! | --- | --- |
//! | `MIREDO_CONFIG_FILE` | `/etc/miredo/miredo-server.conf` |
//! | `MIREDO_PID_FILE` | `/var/run/miredo-server.pid` |
//! | `MIREDO_USER` | `nobody` |
//! | `MIREDO_EMPTY_DIR` (read in the platform crate) | `/var/empty` |

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Command, CommandFactory, Parser, ValueHint};
use platform::accelerator::Accelerator;
use platform::{EMPTY_DIR, Here};

use crate::conf::{self, Diagnostic, Host, Overrides, Parsed, StatisticsSocket};

pub mod probe;
pub mod worker;

/// The configuration file, unless the command line names one.
pub const CONFIG_FILE: &str = match option_env!("MIREDO_CONFIG_FILE") {
    Some(path) => path,
    None => "/etc/miredo/miredo-server.conf",
};

/// The pid file, unless the command line names one.
pub const PID_FILE: &str = match option_env!("MIREDO_PID_FILE") {
    Some(path) => path,
    None => "/var/run/miredo-server.pid",
};

/// The user that the server runs as, unless the command line names another.
pub const USER: &str = match option_env!("MIREDO_USER") {
    Some(user) => user,
    None => "nobody",
};

macro_rules! version {
    () => {
        concat!(
            env!("CARGO_PKG_VERSION"),
            "\nLicense: BSD-2-Clause. There is no warranty."
        )
    };
}

/// Version and license; of what not every build has, what this one has.
const VERSION: &str = match Here::BUILT_IN {
    true => concat!(version!(), "\nAccelerate: xdp"),
    false => version!(),
};

/// Teredo server (RFC 4380): IPv6 for hosts behind IPv4 NATs
///
/// As with getopt_long(3), a long option may be abbreviated if it stays unique, and the last of repeated options holds.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "miredo-server", version = VERSION, infer_long_args = true, args_override_self = true)]
#[command(about = "Teredo server (RFC 4380): IPv6 for hosts behind IPv4 NATs", long_about = None)]
pub struct Options {
    /// Read the configuration from FILE
    #[arg(short, long, value_name = "FILE", visible_alias = "conf", value_parser = absolute())]
    #[arg(value_hint = ValueHint::FilePath)]
    #[arg(help = format!("Read the configuration from FILE [default: {CONFIG_FILE}]"))]
    config: Option<PathBuf>,

    /// Stay in the foreground and log to standard error
    #[arg(short, long)]
    pub foreground: bool,

    /// Run as USER, a name in passwd(5) other than that of uid 0
    #[arg(short, long, visible_alias = "username", value_hint = ValueHint::Username)]
    #[arg(help = format!("Run as USER, a name in passwd(5) other than that of uid 0 [default: {USER}]"))]
    pub user: Option<String>,

    /// Write the process id to FILE; `None` if the option is absent: see [`Options::pid_file`]
    #[arg(short, long, value_name = "FILE", value_parser = absolute())]
    #[arg(value_hint = ValueHint::FilePath)]
    #[arg(help = format!("Write the process id to FILE [default: {PID_FILE}]"))]
    pidfile: Option<PathBuf>,

    /// Confine the server to DIR, an empty directory
    #[arg(short = 't', long, value_name = "DIR", visible_alias = "chrootdir", value_parser = absolute())]
    #[arg(value_hint = ValueHint::DirPath)]
    #[arg(help = format!("Confine the server to DIR, an empty directory [default: {EMPTY_DIR}]"))]
    pub chroot: Option<PathBuf>,

    /// Report every fault of the configuration and exit
    #[arg(short = 'n', long)]
    pub check: bool,

    /// Serve this machine and private networks, without root, for a trial
    #[arg(long, conflicts_with_all = ["user", "chroot"])]
    pub local: bool,

    /// Ask the running server what it does and has counted, and exit
    #[arg(long, conflicts_with_all = ["foreground", "user", "chroot", "check", "server_name"])]
    pub status: bool,

    /// With --status, print JSON
    #[arg(long, requires = "status")]
    pub json: bool,

    /// Primary IPv4 address or a name that has it, in place of ServerBindAddress
    #[arg(value_name = "SERVER_NAME", value_hint = ValueHint::Hostname)]
    pub server_name: Option<Host>,
}

impl Options {
    /// The command line. A fault ends the program with status 2.
    pub fn from_command_line() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            let status = refuse(&error, &mut Self::command());
            process::exit(status.into())
        })
    }

    /// The arguments of a process that reads the configuration as this one would, whatever directory it is in.
    pub fn to_reader(&self) -> Vec<OsString> {
        let options = [
            ("--config", self.config.as_ref().map(OsString::from)),
            ("--user", self.user.as_ref().map(OsString::from)),
        ];
        let mut arguments = Vec::new();
        for (name, value) in options {
            arguments.extend(value.into_iter().flat_map(|value| [name.into(), value]));
        }
        arguments.extend(self.local.then(|| "--local".into()));
        if let Some(host) = &self.server_name {
            arguments.extend(["--".into(), host.to_string().into()]);
        }
        arguments
    }

    /// Whether the server stays where it was started: asked for, or for a trial.
    pub fn stays(&self) -> bool {
        self.foreground || self.local
    }

    /// The configuration file to read.  None with `--local`, unless the command line names one: a
    /// trial does not depend on what this machine may be set up for.
    pub fn config_file(&self) -> Option<&Path> {
        match &self.config {
            Some(path) => Some(path),
            None => (!self.local).then_some(Path::new(CONFIG_FILE)),
        }
    }

    /// The pid file to write.  None with `--local` or `--check`, unless the command line names one.
    pub fn pid_file(&self) -> Option<&Path> {
        match &self.pidfile {
            Some(path) => Some(path),
            None => (!self.local && !self.check).then_some(Path::new(PID_FILE)),
        }
    }

    /// Reads where the server with this configuration tells what it does.
    ///
    /// # Errors
    /// What is wrong with the file or its `StatisticsSocket`. The default file may be missing: the server may have been started
    /// with its name alone.
    pub fn load_statistics_socket(&self) -> Result<StatisticsSocket, Vec<Diagnostic>> {
        match self.config_file() {
            Some(path) if self.config.is_some() || path.exists() => conf::load_statistics(path),
            _ => Ok(StatisticsSocket::BesidePidFile),
        }
    }

    /// Reads the configuration, with what the command line says above it.
    ///
    /// As with the C server, the default file may be missing when the command line names the
    /// server.
    pub fn load(&self) -> Parsed {
        let overrides = Overrides {
            server_name: self.server_name.as_ref(),
            local: self.local,
        };
        match self.config_file() {
            Some(path) if self.config.is_none() && self.server_name.is_some() => {
                conf::load_if_present(path, overrides)
            }
            Some(path) => conf::load(path, overrides),
            None => conf::parse(Path::new("defaults"), "", overrides),
        }
    }
}

/// Makes a path absolute: a daemon leaves the directory in which it was started.
fn absolute() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(std::path::absolute)
}

/// Tells what clap found in the arguments of a command, and returns the exit status. After an option that does not exist, it lists
/// those that do; clap would advise to write `-- -x`, which is not what somebody means who writes `-x`.
pub(crate) fn refuse(error: &clap::Error, command: &mut Command) -> u8 {
    // There is nowhere to report that standard error is closed.
    let _ = match error.kind() {
        ErrorKind::UnknownArgument => {
            let text = error.to_string();
            let what = text.lines().next().unwrap_or_default();
            write!(io::stderr(), "{what}\n\n{}", command.render_help())
        }
        _ => error.print(),
    };
    if error.use_stderr() { 2 } else { 0 }
}

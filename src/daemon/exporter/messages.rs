//! What the monitor and an exporter tell each other.
//!
//! The monitor sends [`ToExporter::Order`] and waits for [`FromExporter::Ready`] or [`FromExporter::Failed`], then sends
//! [`ToExporter::Told`] when there is something new. [`FromExporter::Logged`] comes at any time. When the monitor has nothing more
//! to say, or is gone, the exporter ends. They have the [version](crate::daemon::messages::VERSION) of a worker's messages.

use std::ffi::OsString;
use std::os::fd::RawFd;

use log::LevelFilter;
use serde::{Deserialize, Serialize};

use crate::daemon::channel::{Channel, Message};
use crate::daemon::messages::{FromWorker, one_line};
use crate::daemon::status::Status;
use crate::logging::LogLine;

/// The monitor as the exporter's end of the stream.
pub type MonitorChannel = Channel<ToExporter, FromExporter>;

/// What the monitor sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToExporter {
    /// What to do. The first message, and no later one.
    Order(Box<Order>),
    /// What the server does and has counted by now.
    Told(Box<Status>),
}

/// What an exporter sends. The form of `Failed` is the same in every version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FromExporter {
    /// It is confined and answers.
    Ready,
    /// It cannot, and ends. One line, for the log.
    Failed(String),
    /// A line for the log.
    Logged(LogLine),
}

/// Everything that an exporter needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The monitor's version.
    pub version: u32,
    /// The inherited socket that listens.
    pub listener: RawFd,
    /// User and group to become; absent where the monitor has no root to give up.
    pub owner: Option<(u32, u32)>,
    /// Directory to be confined in; a private one where absent.
    pub root: Option<OsString>,
    /// Which lines to send for the log.
    pub log: LevelFilter,
    /// What the server does and has counted at the start of the exporter.
    pub status: Status,
}

impl Message for ToExporter {
    /// Twice the longest status, for a path in the order that takes as much.
    const MAX_LEN: usize = 2 * Status::MAX_LEN;
}

impl Message for FromExporter {
    const MAX_LEN: usize = FromWorker::MAX_LEN;
}

impl FromExporter {
    /// [`FromExporter::Failed`] about a system call, before and after its name. A signal handler puts it together.
    pub const FORBIDDEN_CALL: [&str; 2] = [
        "{\"failed\":\"the exporter made the system call ",
        ", which it never makes: it may have been taken over\"}\n",
    ];

    /// That the exporter failed, in one line of bounded length.
    pub fn failed(words: &str) -> Self {
        Self::Failed(one_line(words))
    }
}

//! What the monitor and an accelerator tell each other.
//!
//! The monitor sends [`ToAccelerator::Order`] and waits for [`FromAccelerator::Done`] or [`FromAccelerator::Failed`], the last
//! message. Before `Done`, the accelerator has passed two descriptors for each interface that has a program now, the link and the
//! map of the counters, through a stream of their own: what goes with the octets of a message is lost. They have the
//! [version](crate::daemon::messages::VERSION) of a worker's messages.

use std::os::fd::RawFd;

use platform::accelerator::Mode;
use serde::{Deserialize, Serialize};

use super::task::Task;
use crate::daemon::channel::{Channel, Message};
use crate::daemon::messages::{FromWorker, ToWorker, one_line};

/// The monitor as the accelerator's end of the stream.
pub type MonitorChannel = Channel<ToAccelerator, FromAccelerator>;

/// What the monitor sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToAccelerator {
    /// What to do. The only message.
    Order(Box<Order>),
}

/// What an accelerator sends. The form of `Failed` is the same in every version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FromAccelerator {
    /// What came of each interface, in the order of the task.
    Done(Vec<Outcome>),
    /// It has attached nothing that stays. One line, for the log.
    Failed(String),
}

/// Everything that an accelerator needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The monitor's version.
    pub version: u32,
    /// The inherited stream for descriptors.
    pub descriptors: RawFd,
    /// What to do.
    pub task: Task,
}

/// What came of one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It has a program.
    Attached(#[serde(with = "SerdeMode")] Mode),
    /// It has none, and why. One line, for the log.
    Refused(String),
}

/// The form of [`Mode`] in a message: the platform crate does not depend on serde.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Mode", rename_all = "lowercase")]
enum SerdeMode {
    Native,
    Generic,
}

impl Message for ToAccelerator {
    /// As a worker's order: room for a hundred thousand addresses of this host.
    const MAX_LEN: usize = ToWorker::MAX_LEN;
}

impl Message for FromAccelerator {
    /// Sixteen refusals, each as long as a failure.
    const MAX_LEN: usize = FromWorker::MAX_LEN << 4;
}

impl FromAccelerator {
    /// That the accelerator failed, in one line of bounded length.
    pub fn failed(words: &str) -> Self {
        Self::Failed(one_line(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::conf::Accelerate;

    #[test]
    fn every_answer_has_room() {
        let words = one_line(&"\u{10ffff}".repeat(10_000));
        let refused = vec![Outcome::Refused(words.clone()); Accelerate::MOST];
        for message in [
            FromAccelerator::Done(refused),
            FromAccelerator::Done(vec![Outcome::Attached(Mode::Generic)]),
            FromAccelerator::failed(&words),
        ] {
            let encoded = serde_json::to_vec(&message).unwrap();
            assert!(encoded.len() <= FromAccelerator::MAX_LEN);
            let decoded: FromAccelerator = serde_json::from_slice(&encoded).unwrap();
            assert_eq!(decoded, message);
        }
    }
}

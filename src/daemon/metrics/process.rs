//! An exporter as the monitor sees it. Nothing here waits.

use std::time::Instant;

use super::Listener;
use crate::daemon::Fault;
use crate::daemon::exporter;
use crate::daemon::exporter::messages::{FromExporter, Order, ToExporter};
use crate::daemon::peer::Peer;
use crate::daemon::program::{Kept, Program};

/// An exporter.
pub(super) type Exporter = Peer<FromExporter, ToExporter>;

/// Starts one at a socket, whose number it writes into the order.
///
/// # Errors
/// Those of [`Peer::start`].
pub(super) fn start(
    program: &Program,
    mut order: Order,
    listener: &Listener,
) -> Result<Exporter, Fault> {
    Peer::start(
        program,
        "exporter",
        exporter::arguments,
        |kept: &mut Kept| {
            order.listener = kept.keep(listener)?;
            Ok(ToExporter::Order(Box::new(order)))
        },
    )
}

/// Hears it; why it ended, if it has.
pub(super) fn ended(exporter: &mut Exporter, now: Instant) -> Option<String> {
    while let Some(message) = exporter.hear() {
        match message {
            FromExporter::Logged(line) => exporter.logged(&line, now),
            FromExporter::Ready => exporter.is_ready(),
            FromExporter::Failed(words) => exporter.failed(&words),
        }
    }
    let (words, status) = exporter.ended(now, "did not begin")?;
    Some(words.unwrap_or(status))
}

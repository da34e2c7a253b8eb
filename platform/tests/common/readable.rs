//! Waiting for a pair of sockets, with an end.

use std::future::poll_fn;
use std::io::{self, Write};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use miredo_platform::UdpPair;

/// No datagram takes longer to this host, however busy it is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the pair is readable; ends the program where it never is. Nothing but the pair is at the reactor, whose ways are
/// under test.
pub(crate) fn readable(pair: &mut impl UdpPair) -> io::Result<()> {
    let name = thread::current().name().unwrap_or_default().to_owned();
    let (over, waiting) = channel::<()>();
    thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let _ = writeln!(io::stderr(), "{name}: nothing arrives");
            std::process::abort();
        }
    });
    let outcome = async_io::block_on(poll_fn(|context| pair.poll_readable(context)));
    drop(over);
    outcome
}

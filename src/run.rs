//! The loops that carry datagrams between the platform and the server.
//!
//! The only file that names `async_std`: leaving that runtime means rewriting this file and no other.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_std::channel::{self, Receiver, Sender};
use async_std::future::timeout;
use async_std::task;
use platform::{BATCH, Icmp6, Inbox, Outbox, Progress, RawIcmp6, Received, UdpPair};

use crate::limit::Batch;
use crate::report::Report;
use crate::server::{Arrival, Server};
use crate::verdict::{Route, Verdict};

/// How long a loop rests after its sockets failed, before it tries them again.
const REST: Duration = Duration::from_secs(1);

/// Ends loops: all that hold a clone of its [`Stop`] leave when this is dropped.
pub struct Running {
    _open: Sender<()>,
}

/// What a loop watches to know when to leave.
#[derive(Clone)]
pub struct Stop {
    closed: Receiver<()>,
}

/// A pair of ends: drop the first to stop the loops that hold the second.
pub fn stop_pair() -> (Running, Stop) {
    let (open, closed) = channel::bounded(1);
    (Running { _open: open }, Stop { closed })
}

/// Serves on the calling thread until `stop`, and reports what is done.
///
/// `started` is called once it runs: every thread that the runtime starts of its own exists then. Every datagram that was
/// received is handled before it returns. `raw` is absent where there is no way out to
/// native IPv6; echo requests for it are then counted as undeliverable.
pub fn serve<U: UdpPair, R: RawIcmp6>(
    udp: U,
    raw: Option<R>,
    server: Server,
    stop: &Stop,
    report: Report,
    started: impl FnOnce(),
) {
    let (inbox, outbox) = (Inbox::new(), Outbox::new());
    let mut carrier = Carrier {
        udp,
        raw,
        server,
        inbox,
        outbox,
        report,
        rest: Duration::ZERO,
    };
    task::block_on(async {
        started();
        carrier.run(stop).await;
    });
    carrier.inbox.clear();
    carrier.udp.look_for_drops(&mut carrier.inbox);
    carrier.report.dropped(&carrier.inbox);
    carrier.report.publish();
}

struct Carrier<U, R> {
    udp: U,
    raw: Option<R>,
    server: Server,
    inbox: Inbox,
    outbox: Outbox,
    report: Report,
    /// How long there was nothing to do since the last batch.
    rest: Duration,
}

impl<U: UdpPair, R: RawIcmp6> Carrier<U, R> {
    async fn run(&mut self, stop: &Stop) {
        while !stop.closed.is_closed() {
            let received = self.udp.receive(&mut self.inbox);
            self.report.dropped(&self.inbox);
            let waited = match received {
                Ok(Progress::Moved(_)) => {
                    self.carry(Instant::now());
                    continue;
                }
                Ok(Progress::WouldBlock) => {
                    self.report.publish();
                    let begin = Instant::now();
                    let readable = self.readable(stop).await;
                    self.rest = self.rest.saturating_add(begin.elapsed());
                    readable
                }
                Err(error) => Err(error),
            };
            if let Err(error) = waited {
                self.report.receive_failed(&error, Instant::now());
                // No peer can cause these, but a dead socket must not make the loop spin.
                let _ = timeout(REST, stop.closed.recv()).await;
            }
        }
    }

    /// Waits for a datagram or for the end, whichever comes first.
    async fn readable(&mut self, stop: &Stop) -> io::Result<()> {
        let mut stopped = pin!(stop.closed.recv());
        poll_fn(|context| match stopped.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(Ok(())),
            Poll::Pending => self.udp.poll_readable(context),
        })
        .await
    }

    /// Handles what the inbox holds and sends the answers.
    fn carry(&mut self, now: Instant) {
        let batch = Batch {
            datagrams: self.inbox.len(),
            full: self.inbox.len() == BATCH,
            backlogged: self.inbox.backlogged(),
            rest: mem::take(&mut self.rest),
        };
        self.server.arrived(batch, now);
        for received in self.inbox.iter() {
            // There is room: an outbox holds an answer to each datagram of an inbox.
            let Some(out) = self.outbox.free() else { break };
            let verdict = self.server.handle(&arrival(&received, now), out);
            self.report.verdict(&verdict, &received, now);
            let Verdict::Send(reply) = verdict else {
                continue;
            };
            match reply.route {
                Route::Udp { via, to } => self.outbox.push(via, to, reply.len),
                Route::Native {
                    source,
                    destination,
                    hop_limit,
                } => {
                    let message = out.get(..reply.len).unwrap_or_default();
                    let message = Icmp6 {
                        source,
                        destination,
                        hop_limit,
                        message,
                    };
                    let sent = self.raw.as_mut().map(|raw| raw.send(&message));
                    self.report.native(&verdict, sent, destination, now);
                }
            }
        }
        if !self.outbox.is_empty() {
            let sent = self.udp.send(&self.outbox);
            self.outbox.clear();
            self.report.udp(sent, now);
        }
        self.report.batch();
    }
}

fn arrival<'a>(received: &Received<'a>, at: Instant) -> Arrival<'a> {
    Arrival {
        bytes: received.bytes,
        truncated: received.truncated,
        from: received.from,
        via: received.via,
        at,
    }
}

//! Both contracts in memory, each with a second end for the test to hold.
//!
//! ```
//! use std::net::SocketAddrV4;
//! use miredo_platform::{Inbox, Progress, UdpPair, Via, fake};
//!
//! let (mut pair, end) = fake::udp();
//! let client: SocketAddrV4 = "192.0.2.7:40000".parse()?;
//! end.inject(Via::Primary, client, b"hello");
//! let mut inbox = Inbox::new();
//! assert_eq!(pair.receive(&mut inbox)?, Progress::Moved(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::contract::{
    BATCH, DATAGRAM_MAX, Icmp6, Inbox, Outbox, Progress, RawIcmp6, SendReport, UdpPair, Via,
};

/// Two addresses in memory, and the end that tests hold.
pub fn udp() -> (FakeUdp, UdpEnd) {
    udp_with(true)
}

/// One-address mode: what is sent through the secondary address is refused.
pub fn udp_one_address() -> (FakeUdp, UdpEnd) {
    udp_with(false)
}

/// A raw ICMPv6 sender in memory, and the end that tests hold.
pub fn raw() -> (FakeRaw, RawEnd) {
    let shared = Arc::default();
    (FakeRaw(Arc::clone(&shared)), RawEnd(shared))
}

fn udp_with(secondary: bool) -> (FakeUdp, UdpEnd) {
    let shared = Arc::new(Mutex::new(UdpState {
        secondary,
        ..UdpState::default()
    }));
    (FakeUdp(Arc::clone(&shared)), UdpEnd(shared))
}

/// What becomes of something that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is sent and recorded.
    Pass,
    /// It is taken and lost on the way: reported as sent, never recorded.
    Lose,
    /// There is no room for it now.
    WouldBlock,
    /// It is refused with an error of this kind.
    Refuse(io::ErrorKind),
}

/// A datagram that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentDatagram {
    /// The address it left from.
    pub via: Via,
    /// The address and port it went to.
    pub to: SocketAddrV4,
    /// Its payload.
    pub bytes: Vec<u8>,
}

/// An ICMPv6 message that was sent; the fields are those of [`Icmp6`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentIcmp6 {
    /// See [`Icmp6::source`].
    pub source: Ipv6Addr,
    /// See [`Icmp6::destination`].
    pub destination: Ipv6Addr,
    /// See [`Icmp6::hop_limit`].
    pub hop_limit: u8,
    /// See [`Icmp6::message`].
    pub message: Vec<u8>,
}

/// A [`UdpPair`] in memory.
pub struct FakeUdp(Arc<Mutex<UdpState>>);

/// The other end of a [`FakeUdp`]. Its clones are the same end.
#[derive(Clone)]
pub struct UdpEnd(Arc<Mutex<UdpState>>);

/// A [`RawIcmp6`] in memory.
pub struct FakeRaw(Arc<Mutex<RawState>>);

/// The other end of a [`FakeRaw`]. Its clones are the same end.
#[derive(Clone)]
pub struct RawEnd(Arc<Mutex<RawState>>);

#[derive(Default)]
struct UdpState {
    secondary: bool,
    arriving: VecDeque<Arriving>,
    // How many calls of `receive` there were; delays count in them.
    receives: usize,
    broken: Option<io::ErrorKind>,
    // What the next `receive` says beside datagrams.
    dropped: Vec<(Via, u64)>,
    backlogged: Option<bool>,
    sent: Sent<SentDatagram>,
    waker: Option<Waker>,
}

struct Arriving {
    via: Via,
    from: SocketAddrV4,
    bytes: Vec<u8>,
    // Found by the calls of `receive` after so many.
    after: usize,
}

type RawState = Sent<SentIcmp6>;

struct Sent<T> {
    outcomes: VecDeque<Outcome>,
    record: Vec<T>,
}

impl UdpEnd {
    /// Lets a datagram arrive, of any length.
    pub fn inject(&self, via: Via, from: SocketAddrV4, bytes: &[u8]) {
        self.inject_after(0, via, from, bytes);
    }

    /// Lets a datagram arrive late: the next `receives` calls of `receive` do not find it. Meanwhile `poll_readable` is
    /// ready without cause.
    pub fn inject_after(&self, receives: usize, via: Via, from: SocketAddrV4, bytes: &[u8]) {
        let mut state = lock(&self.0);
        let after = state.receives.saturating_add(receives);
        state.arriving.push_back(Arriving {
            via,
            from,
            bytes: bytes.to_vec(),
            after,
        });
        state.wake();
    }

    /// Lets the next call of `receive` fail with an error of this kind.
    pub fn break_receive(&self, kind: io::ErrorKind) {
        let mut state = lock(&self.0);
        state.broken = Some(kind);
        state.wake();
    }

    /// Lets the kernel drop datagrams to `via`, which the next call of `receive` says.
    pub fn drop_datagrams(&self, via: Via, datagrams: u64) {
        let mut state = lock(&self.0);
        state.dropped.push((via, datagrams));
        state.wake();
    }

    /// Says from now on whether so much waits that some may be lost; a new pair does not tell.
    pub fn set_backlogged(&self, backlogged: bool) {
        lock(&self.0).backlogged = Some(backlogged);
    }

    /// Decides over the next datagrams that are sent, in order, after those already decided. Later ones pass.
    pub fn decide(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        lock(&self.0).sent.outcomes.extend(outcomes);
    }

    /// Takes what was sent since the last call, in order.
    pub fn sent(&self) -> Vec<SentDatagram> {
        std::mem::take(&mut lock(&self.0).sent.record)
    }
}

impl UdpState {
    fn tell_dropped(&mut self, inbox: &mut Inbox) {
        for (via, datagrams) in self.dropped.drain(..) {
            inbox.add_dropped(via, datagrams);
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl UdpPair for FakeUdp {
    fn look_for_drops(&mut self, inbox: &mut Inbox) {
        lock(&self.0).tell_dropped(inbox);
    }

    fn receive(&mut self, inbox: &mut Inbox) -> io::Result<Progress> {
        inbox.clear();
        let mut state = lock(&self.0);
        state.tell_dropped(inbox);
        if let Some(kind) = state.broken.take() {
            return Err(kind.into());
        }
        let now = state.receives;
        state.receives = now.saturating_add(1);
        let (due, late): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut state.arriving)
            .into_iter()
            .partition(|datagram| datagram.after <= now);
        for datagram in due.iter().take(BATCH) {
            let Some(buffer) = inbox.free().next() else {
                break;
            };
            let kept = datagram.bytes.iter().take(DATAGRAM_MAX);
            buffer
                .iter_mut()
                .zip(kept)
                .for_each(|(to, from)| *to = *from);
            inbox.fill(datagram.via, datagram.from, datagram.bytes.len());
        }
        if let Some(backlogged) = state.backlogged {
            inbox.set_backlogged(backlogged);
        }
        state.arriving = due.into_iter().skip(inbox.len()).chain(late).collect();
        match inbox.len() {
            0 => Ok(Progress::WouldBlock),
            moved => Ok(Progress::Moved(moved)),
        }
    }

    fn send(&mut self, outbox: &Outbox) -> SendReport {
        let mut report = SendReport::default();
        let mut state = lock(&self.0);
        for datagram in outbox.iter() {
            if datagram.via == Via::Secondary && !state.secondary {
                report.refused(datagram.to, io::ErrorKind::AddrNotAvailable.into());
                continue;
            }
            let sent = || SentDatagram {
                via: datagram.via,
                to: datagram.to,
                bytes: datagram.bytes.to_vec(),
            };
            match state.sent.take(sent) {
                Ok(Progress::Moved(_)) => report.sent = report.sent.saturating_add(1),
                Ok(Progress::WouldBlock) => report.no_room(datagram.to),
                Err(error) => report.refused(datagram.to, error),
            }
        }
        report
    }

    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = lock(&self.0);
        let nothing = state.arriving.is_empty() && state.dropped.is_empty();
        if nothing && state.broken.is_none() {
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl RawEnd {
    /// Decides over the next messages that are sent, in order, after those already decided. Later ones pass.
    pub fn decide(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        lock(&self.0).outcomes.extend(outcomes);
    }

    /// Takes what was sent since the last call, in order.
    pub fn sent(&self) -> Vec<SentIcmp6> {
        std::mem::take(&mut lock(&self.0).record)
    }
}

impl RawIcmp6 for FakeRaw {
    fn send(&mut self, message: &Icmp6<'_>) -> io::Result<Progress> {
        lock(&self.0).take(|| SentIcmp6 {
            source: message.source,
            destination: message.destination,
            hop_limit: message.hop_limit,
            message: message.message.to_vec(),
        })
    }
}

impl<T> Sent<T> {
    fn take(&mut self, thing: impl FnOnce() -> T) -> io::Result<Progress> {
        match self.outcomes.pop_front().unwrap_or(Outcome::Pass) {
            Outcome::Pass => self.record.push(thing()),
            Outcome::Lose => {}
            Outcome::WouldBlock => return Ok(Progress::WouldBlock),
            Outcome::Refuse(kind) => return Err(kind.into()),
        }
        Ok(Progress::Moved(1))
    }
}

impl<T> Default for Sent<T> {
    fn default() -> Self {
        Self {
            outcomes: VecDeque::new(),
            record: Vec::new(),
        }
    }
}

/// A panic of another test thread while it held the lock leaves nothing half done here.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

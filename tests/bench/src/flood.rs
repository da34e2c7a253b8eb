//! Datagrams as fast as they can be sent, from any source, answers unheard.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use platform::udp::Mover;
use platform::{BATCH, FastMover, Outbox, SendReport, Via};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Fault;
use crate::traffic::{Kind, Target, Template};

/// What to send, to whom, and who to say that it is from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flood {
    pub(crate) target: Target,
    pub(crate) kind: Kind,
    /// First of the addresses to send from.
    pub(crate) from: Ipv4Addr,
    /// How many of them, a power of two; the ports are random.
    pub(crate) addresses: u32,
    pub(crate) threads: usize,
}

const IPV4_LEN: usize = 20;
const UDP_LEN: usize = 8;

impl Flood {
    /// Floods while `work` lasts; returns what it returned, and how many datagrams left.
    pub(crate) fn during<T>(
        &self,
        work: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<(T, u64), Fault> {
        let (ended, sent) = (&AtomicBool::new(false), &AtomicU64::new(0));
        thread::scope(|scope| {
            let threads: Vec<_> = (1..=self.threads as u64)
                .map(|seed| scope.spawn(move || self.thread(seed, ended, sent)))
                .collect();
            let done = work();
            ended.store(true, Ordering::Relaxed);
            for thread in threads {
                thread
                    .join()
                    .map_err(|_| "a thread of the flood failed")??;
            }
            Ok((done?, sent.load(Ordering::Relaxed)))
        })
    }

    fn thread(&self, seed: u64, ended: &AtomicBool, sent: &AtomicU64) -> Result<(), Fault> {
        // Its own header in front of each packet, hence any source: raw(7).
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255)))
            .map_err(|error| format!("raw socket: {error}"))?;
        let client = self.target.primary; // Nobody; unchecked but for bubbles.
        let templates = self.kind.templates(self.target, client, client)?;
        let template = templates.first().ok_or("nothing to send")?;
        let (mut mover, mut outbox) = (FastMover::default(), Outbox::new());
        let mut random = Random(seed);
        let mut report = SendReport::default();
        while !ended.load(Ordering::Relaxed) {
            outbox.clear();
            for _ in 0..BATCH {
                let number = random.next();
                let source = self.from.to_bits() | (number as u32 & (self.addresses - 1));
                let port = 1024 | (number >> 40) as u16;
                let len = outbox
                    .free()
                    .map_or(0, |out| packet(template, source, port, number, out));
                outbox.push(Via::Primary, template.to, len);
            }
            mover.send(socket.as_fd(), outbox.iter(), 0, &mut report);
        }
        sent.fetch_add(report.sent as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// The kernel fills in the identification and the checksum of the IPv4 header: raw(7). UDP goes without.
fn packet(template: &Template, source: u32, port: u16, stamp: u64, out: &mut [u8]) -> usize {
    let udp_len = UDP_LEN + template.bytes.len();
    let len = IPV4_LEN + udp_len;
    let halves = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let header = [
        &[0x45, 0][..],
        &halves(len),
        &[0, 0, 0, 0, 64, 17, 0, 0],
        &source.to_be_bytes(),
        &template.to.ip().octets(),
        &port.to_be_bytes(),
        &template.to.port().to_be_bytes(),
        &halves(udp_len),
        &[0, 0],
    ];
    let mut rest = out;
    for part in header {
        let Some((place, behind)) = rest.split_at_mut_checked(part.len()) else {
            return 0;
        };
        place.copy_from_slice(part);
        rest = behind;
    }
    template.emit(rest, stamp);
    len
}

/// xorshift64: quick, and random enough to spread.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

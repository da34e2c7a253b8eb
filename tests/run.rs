//! The loop between platform and server, on platforms that lose, refuse and fail on demand.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed"
)]

mod harness;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::thread;
use std::time::Instant;

use harness::{DEADLINE, solicitation};
use miredo_server::report::{Ledger, Report};
use miredo_server::run::{self, Running, stop_pair};
use miredo_server::server::{Policy, Server, Settings};
use miredo_server::verdict::{Counters, Kind, Loss, Outcome, Reason};
use miredo_server::wire::address::{ServicePrefix, TeredoAddress};
use miredo_server::wire::icmp6::{ECHO_REQUEST, Echo};
use platform::Via;
use platform::fake::{self, RawEnd, UdpEnd};

const PRIMARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 40000);
const NATIVE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// A loop on a thread of its own, and what the test holds of it.
struct Loop {
    udp: UdpEnd,
    raw: RawEnd,
    ledger: Ledger,
    running: Running,
    thread: thread::JoinHandle<()>,
}

impl Loop {
    fn start(has_raw: bool) -> Self {
        let (udp, udp_end) = fake::udp();
        let (raw, raw_end) = fake::raw();
        let (running, stop) = stop_pair();
        let ledger = Ledger::default();
        let report = Report::new(ledger.clone(), None);
        let raw = has_raw.then_some(raw);
        let thread = thread::spawn(move || run::serve(udp, raw, server(), &stop, report, || ()));
        Self {
            udp: udp_end,
            raw: raw_end,
            ledger,
            running,
            thread,
        }
    }

    /// Waits until the ledger says so; it is written when the loop has nothing to do.
    fn until(&self, what: &str, done: impl Fn(&Counters) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !done(&self.ledger.read()) {
            assert!(
                Instant::now() < deadline,
                "{what}: {}",
                self.ledger.read().detailed()
            );
            thread::yield_now();
        }
    }

    fn stop(self) -> Counters {
        drop(self.running);
        let deadline = Instant::now() + DEADLINE;
        while !self.thread.is_finished() {
            assert!(Instant::now() < deadline, "the loop does not leave");
            thread::yield_now();
        }
        self.thread.join().unwrap();
        self.ledger.read()
    }
}

fn server() -> Server {
    Server::new(Settings {
        primary: PRIMARY,
        secondary: Some(Ipv4Addr::new(192, 0, 2, 2)),
        own: Vec::new(),
        broadcasts: Vec::new(),
        policy: Policy {
            prefix: ServicePrefix::GLOBAL,
            mtu: 1280,
            allow_private: false,
            rate_limit: None,
            qualification: None,
        },
    })
}

/// An echo request of the client to a native host.
fn echo() -> Vec<u8> {
    let source = TeredoAddress {
        prefix: ServicePrefix::GLOBAL,
        server: PRIMARY,
        flags: 0,
        mapped: CLIENT,
    };
    let echo = Echo {
        kind: ECHO_REQUEST,
        identifier: 1,
        sequence: 2,
        data: b"who is there",
    };
    let mut bytes = [0; 128];
    let left = echo
        .emit(&mut bytes, source.into(), NATIVE, 64)
        .unwrap()
        .len();
    bytes[..bytes.len() - left].to_vec()
}

fn sent(counters: &Counters, kind: Kind) -> u64 {
    counters.sent().find(|(of, _)| *of == kind).unwrap().1
}

fn lost(counters: &Counters, loss: Loss) -> u64 {
    counters.lost().find(|(of, _)| *of == loss).unwrap().1
}

/// Answers leave by the address and to the client that asked.
#[test]
fn answers_leave_as_they_came() {
    let lp = Loop::start(true);
    for (via, nonce) in [(Via::Primary, 1), (Via::Secondary, 2)] {
        lp.udp.inject(via, CLIENT, &solicitation(nonce, false));
    }
    lp.until("two answers", |counters| {
        sent(counters, Kind::Advertisement) == 2
    });
    let answers = lp.udp.sent();
    assert_eq!(
        answers.iter().map(|answer| answer.via).collect::<Vec<_>>(),
        [Via::Primary, Via::Secondary]
    );
    assert!(
        answers
            .iter()
            .all(|answer| answer.to == CLIENT && answer.bytes.len() == 117)
    );
    assert_eq!(
        lp.stop().to_string(),
        "2 datagrams answered or forwarded, 0 dropped, 0 lost"
    );
}

/// Echoes leave with the address of the client.
#[test]
fn echoes_leave_as_the_client() {
    let lp = Loop::start(true);
    lp.udp.inject(Via::Primary, CLIENT, &echo());
    lp.until("the echo", |counters| sent(counters, Kind::NativeEcho) == 1);
    let echoes = lp.raw.sent();
    assert_eq!((echoes[0].destination, echoes[0].hop_limit), (NATIVE, 63));
    let source = TeredoAddress::parse(ServicePrefix::GLOBAL, echoes[0].source).unwrap();
    assert_eq!(source.mapped, CLIENT);
    lp.stop();
}

/// Without a way out echoes are undeliverable.
#[test]
fn echoes_without_a_way_are_lost() {
    let lp = Loop::start(false);
    lp.udp.inject(Via::Primary, CLIENT, &echo());
    lp.until("the loss", |counters| {
        lost(counters, Loss::Undeliverable) == 1
    });
    assert_eq!(lp.raw.sent(), []);
    assert_eq!(
        lp.stop().to_string(),
        "0 datagrams answered or forwarded, 0 dropped, 1 lost"
    );
}

/// What does not go out is counted and stops nothing.
#[test]
fn losses_are_counted() {
    let lp = Loop::start(true);
    lp.udp.decide([
        fake::Outcome::WouldBlock,
        fake::Outcome::Refuse(ErrorKind::PermissionDenied),
    ]);
    lp.raw.decide([
        fake::Outcome::Refuse(ErrorKind::NetworkUnreachable),
        fake::Outcome::WouldBlock,
    ]);
    for nonce in 0..3 {
        lp.udp
            .inject(Via::Primary, CLIENT, &solicitation(nonce, false));
        lp.udp.inject(Via::Primary, CLIENT, &echo());
    }
    lp.until("all six", |counters| sent(counters, Kind::NativeEcho) == 1);
    let counters = lp.ledger.read();
    assert_eq!(lost(&counters, Loss::Congestion), 2);
    assert_eq!(lost(&counters, Loss::Refusal), 2);
    assert_eq!((lp.udp.sent().len(), lp.raw.sent().len()), (1, 1));
    lp.stop();
}

#[test]
fn drops_are_counted() {
    let lp = Loop::start(true);
    lp.udp.drop_datagrams(Via::Secondary, 5);
    lp.until("the drops", |counters| lost(counters, Loss::Overflow) == 5);
    // Beside what arrives.
    lp.udp.drop_datagrams(Via::Primary, 2);
    lp.udp.inject(Via::Primary, CLIENT, &solicitation(7, false));
    lp.until("all seven, and the answer", |counters| {
        lost(counters, Loss::Overflow) == 7 && sent(counters, Kind::Advertisement) == 1
    });
    assert_eq!(
        lp.stop().to_string(),
        "1 datagrams answered or forwarded, 0 dropped, 7 lost"
    );
}

/// A socket that fails is tried again.
#[test]
fn a_failing_socket_is_retried() {
    let lp = Loop::start(true);
    lp.udp.break_receive(ErrorKind::NetworkDown);
    lp.udp.inject(Via::Primary, CLIENT, &solicitation(7, false));
    lp.until("the answer", |counters| {
        sent(counters, Kind::Advertisement) == 1
    });
    lp.stop();
}

/// What is dropped is counted by its reason.
#[test]
fn drops_are_counted_by_reason() {
    let lp = Loop::start(true);
    lp.udp.inject(Via::Primary, CLIENT, b"junk");
    lp.until("the drop", |counters| {
        counters
            .dropped()
            .any(|(reason, count)| (reason, count) == (Reason::Header, 1))
    });
    assert_eq!(lp.udp.sent(), []);
    lp.stop();
}

/// However fast this machine is: the socket says that too much waits, until somebody is refused.
#[test]
fn a_backlog_makes_networks_share() {
    let lp = Loop::start(true);
    lp.udp.set_backlogged(true);
    let busy = Ipv4Addr::new(203, 0, 113, 7);
    let crowded = |counters: &Counters| {
        counters
            .dropped()
            .any(|(reason, count)| reason == Reason::Crowded && count > 0)
    };
    let mut asked = 0;
    while !crowded(&lp.ledger.read()) {
        for number in 0..640_u16 {
            let source = if number % 64 == 0 { *CLIENT.ip() } else { busy };
            let source = SocketAddrV4::new(source, 1024 + number);
            lp.udp
                .inject(Via::Primary, source, &solicitation(number.into(), false));
        }
        asked += 640;
        lp.until("all of it", |counters| {
            counters.sum(Outcome::Received) == asked
        });
    }
    // Of the client's a larger part is answered than of the busy network's: all of them, unless this machine stalls.
    let answers = lp.udp.sent();
    let to_client = |answer: &&fake::SentDatagram| answer.to.ip() == CLIENT.ip();
    let client = answers.iter().filter(to_client).count() as u64;
    let busy = answers.len() as u64 - client;
    assert!(client * 63 > busy, "{client} and {busy} of {asked}");
    lp.stop();
}

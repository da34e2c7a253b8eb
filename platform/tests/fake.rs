//! The fake keeps the contracts, and does on demand what the network does at will.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests report by panicking"
)]

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::net::SocketAddrV4;
use std::pin::pin;
use std::thread;
use std::time::Duration;

use miredo_platform::fake::{self, FakeUdp, Outcome, SentDatagram};
use miredo_platform::{
    BATCH, DATAGRAM_MAX, Icmp6, Inbox, Outbox, Progress, RawIcmp6, UdpPair, Via,
};

fn client() -> SocketAddrV4 {
    "192.0.2.7:40000".parse().unwrap()
}

fn lengths(pair: &mut FakeUdp) -> Vec<(usize, bool)> {
    let mut inbox = Inbox::new();
    pair.receive(&mut inbox).unwrap();
    inbox
        .iter()
        .map(|got| (got.bytes.len(), got.truncated))
        .collect()
}

fn outbox(bytes: &[u8]) -> Outbox {
    let mut outbox = Outbox::new();
    for (byte, via) in bytes
        .iter()
        .zip([Via::Primary, Via::Secondary].into_iter().cycle())
    {
        outbox.free().unwrap()[0] = *byte;
        outbox.push(via, client(), 1);
    }
    outbox
}

#[test]
fn true_lengths_in_batches() {
    let (mut pair, end) = fake::udp();
    end.inject(Via::Secondary, client(), &[1; DATAGRAM_MAX]);
    end.inject(Via::Primary, client(), &[1; DATAGRAM_MAX + 1]);
    assert_eq!(
        lengths(&mut pair),
        [(DATAGRAM_MAX, false), (DATAGRAM_MAX, true)]
    );
    for _ in 0..=BATCH {
        end.inject(Via::Primary, client(), b"");
    }
    assert_eq!(lengths(&mut pair).len(), BATCH);
    assert_eq!(lengths(&mut pair), [(0, false)]);
    assert_eq!(lengths(&mut pair), []);
}

#[test]
fn late_datagrams_are_overtaken() {
    let (mut pair, end) = fake::udp();
    end.inject_after(2, Via::Primary, client(), b"late");
    end.inject(Via::Primary, client(), b"");
    let found = [(); 4].map(|()| lengths(&mut pair));
    assert_eq!(found, [vec![(0, false)], vec![], vec![(4, false)], vec![]]);
}

#[test]
fn fates_are_met_in_order() {
    let (mut pair, end) = fake::udp();
    let refuse = Outcome::Refuse(ErrorKind::HostUnreachable);
    end.decide([Outcome::Pass, Outcome::Lose, Outcome::WouldBlock, refuse]);
    let report = pair.send(&outbox(b"abcde"));
    assert_eq!((report.sent, report.would_block, report.failed), (3, 1, 1));
    assert_eq!(report.error.unwrap().1.kind(), ErrorKind::HostUnreachable);
    let sent = [(Via::Primary, b'a'), (Via::Primary, b'e')].map(|(via, byte)| SentDatagram {
        via,
        to: client(),
        bytes: vec![byte],
    });
    assert_eq!(end.sent(), sent);
    assert_eq!(end.sent(), []);

    let (mut pair, end) = fake::udp_one_address();
    let report = pair.send(&outbox(b"abc"));
    assert_eq!((report.sent, report.failed), (2, 1));
    assert_eq!(end.sent().len(), 2);
}

#[test]
fn a_broken_receive_breaks_once() {
    let (mut pair, end) = fake::udp();
    end.break_receive(ErrorKind::NotConnected);
    let mut inbox = Inbox::new();
    let error = pair.receive(&mut inbox).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert_eq!(pair.receive(&mut inbox).unwrap(), Progress::WouldBlock);
}

#[test]
fn injecting_wakes() {
    let (mut pair, end) = fake::udp();
    let mut polls = 0;
    let mut timer = pin!(async_io::Timer::after(Duration::from_secs(10)));
    async_io::block_on(poll_fn(|context| {
        assert!(timer.as_mut().poll(context).is_pending(), "nobody wakes");
        polls += 1;
        let ready = pair.poll_readable(context);
        if polls == 1 {
            assert!(ready.is_pending());
            let end = end.clone();
            thread::spawn(move || end.inject(Via::Primary, client(), b"wake"));
        }
        ready
    }))
    .unwrap();
    assert_eq!(lengths(&mut pair), [(4, false)]);
}

#[test]
fn raw_messages_are_recorded() {
    let (mut raw, end) = fake::raw();
    let echo = Icmp6 {
        source: "2001:0:c000:201::1".parse().unwrap(),
        destination: "2001:db8::2".parse().unwrap(),
        hop_limit: 63,
        message: b"message",
    };
    end.decide([
        Outcome::WouldBlock,
        Outcome::Refuse(ErrorKind::NetworkUnreachable),
    ]);
    assert_eq!(raw.send(&echo).unwrap(), Progress::WouldBlock);
    assert_eq!(
        raw.send(&echo).unwrap_err().kind(),
        ErrorKind::NetworkUnreachable
    );
    assert_eq!(raw.send(&echo).unwrap(), Progress::Moved(1));
    let sent = end.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].source, sent[0].destination),
        (echo.source, echo.destination)
    );
    assert_eq!(
        (sent[0].hop_limit, &sent[0].message[..]),
        (63, echo.message)
    );
}

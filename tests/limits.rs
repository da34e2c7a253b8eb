//! What is sent of what no rule forbids: by receiver always, by network while more arrives than can be answered.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed"
)]

mod harness;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use harness::solicitation;
use miredo_server::limit::{Batch, RateLimit};
use miredo_server::server::{Arrival, Policy, Server, Settings};
use miredo_server::verdict::{Reason, Verdict};
use miredo_server::wire::address::{ServicePrefix, TeredoAddress};
use miredo_server::wire::icmp6::{ECHO_REQUEST, Echo};
use platform::{REPLY_MAX, Via};

const PRIMARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const RELAY: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 9);

/// A server at a moment that the test sets.
struct Subject {
    server: Server,
    now: Instant,
}

impl Subject {
    /// With so many packets a second, and so many at once, for each receiver.
    fn new(limit: Option<(u32, u32)>) -> Self {
        let number = |number| NonZeroU32::new(number).unwrap();
        let server = Server::new(Settings {
            primary: PRIMARY,
            secondary: Some(Ipv4Addr::new(192, 0, 2, 2)),
            own: Vec::new(),
            broadcasts: Vec::new(),
            policy: Policy {
                prefix: ServicePrefix::GLOBAL,
                mtu: 1280,
                allow_private: false,
                rate_limit: limit.map(|(packets_per_second, burst)| RateLimit {
                    packets_per_second: number(packets_per_second),
                    burst: number(burst),
                }),
                qualification: None,
            },
        });
        Self {
            server,
            now: Instant::now(),
        }
    }

    fn handle(&mut self, from: Ipv4Addr, port: u16, bytes: &[u8]) -> Verdict {
        let arrival = Arrival {
            bytes,
            truncated: false,
            from: SocketAddrV4::new(from, port),
            via: Via::Primary,
            at: self.now,
        };
        self.server.handle(&arrival, &mut [0; REPLY_MAX])
    }

    fn solicit(&mut self, from: Ipv4Addr) -> Verdict {
        self.handle(from, 40_000, &solicitation(1, false))
    }

    /// A batch arrives while so much waits that some will be lost, after a rest of so many milliseconds.
    fn crowd(&mut self, rest: u64) {
        let rest = Duration::from_millis(rest);
        self.now += rest;
        let batch = Batch {
            datagrams: 64,
            full: true,
            backlogged: Some(true),
            rest,
        };
        self.server.arrived(batch, self.now);
    }
}

fn teredo(mapped: Ipv4Addr, port: u16) -> Ipv6Addr {
    let address = TeredoAddress {
        prefix: ServicePrefix::GLOBAL,
        server: PRIMARY,
        flags: 0,
        mapped: SocketAddrV4::new(mapped, port),
    };
    address.into()
}

fn bubble(source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0, 0, 0, 59, 255];
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    bytes
}

fn echo(source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let echo = Echo {
        kind: ECHO_REQUEST,
        identifier: 1,
        sequence: 2,
        data: &[],
    };
    let mut bytes = vec![0; 48];
    echo.emit(&mut bytes, source, destination, 64).unwrap();
    bytes
}

/// How many were sent, all others being over the rate limit.
fn sent(verdicts: impl IntoIterator<Item = Verdict>) -> u32 {
    let sent = verdicts.into_iter().map(|verdict| match verdict {
        Verdict::Send(_) => 1,
        Verdict::Drop(Reason::RateLimited) => 0,
        Verdict::Drop(other) => panic!("{other}"),
    });
    sent.sum()
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(11 << 24 | number)
}

/// Whoever asks for it.
#[test]
fn a_victim_is_sent_its_limit() {
    let mut subject = Subject::new(Some((1, 10)));
    let bubbles = (0..1000_u16).map(|number| {
        let bubble = bubble(RELAY, teredo(CLIENT, 1024 + number));
        subject.handle(address(number.into()), 3545, &bubble)
    });
    assert_eq!(sent(bubbles), 10);
    // Its own solicitations, then, are over the limit, too: whoever sent them.
    assert_eq!(subject.solicit(CLIENT), Verdict::Drop(Reason::RateLimited));
    subject.now += Duration::from_secs(1);
    assert_eq!(sent((0..9).map(|_| subject.solicit(CLIENT))), 1);
}

/// The limit is that of the receiver.
#[test]
fn who_asks_is_not_limited() {
    let mut subject = Subject::new(Some((1, 1)));
    let bubbles = (0..1000).map(|number| {
        let bubble = bubble(RELAY, teredo(address(number), 4000));
        subject.handle(CLIENT, 3545, &bubble)
    });
    assert_eq!(sent(bubbles), 1000);
    assert_eq!(sent([subject.solicit(CLIENT)]), 1);
}

/// Each from its own address, as rule 5 wants it, to hosts of one site and of another.
#[test]
fn a_native_site_is_sent_its_limit() {
    let mut subject = Subject::new(Some((1, 10)));
    for site in [1, 2] {
        let echoes = (0..100_u16).map(|number| {
            let from = address(number.into());
            let host = Ipv6Addr::new(0x2001, 0xdb8, site, number, 0, 0, 0, number);
            subject.handle(from, 4000, &echo(teredo(from, 4000), host))
        });
        assert_eq!(sent(echoes), 10);
    }
}

#[test]
fn nonsense_spends_no_allowance() {
    let mut subject = Subject::new(Some((1, 1)));
    let mut wrong = solicitation(1, false);
    *wrong.last_mut().unwrap() ^= 1;
    for _ in 0..1000 {
        let verdict = subject.handle(CLIENT, 40_000, &wrong);
        assert_eq!(verdict, Verdict::Drop(Reason::MessageChecksum));
    }
    assert_eq!(sent([subject.solicit(CLIENT)]), 1);
}

/// As the manual's example has it, and as it comes.
#[test]
fn a_forger_costs_one_address() {
    for limit in [(500, 2000), (10_000, 10_000)] {
        let mut subject = Subject::new(Some(limit));
        let victim = Ipv4Addr::new(198, 51, 100, 99);
        let mut over = 0;
        for number in 0..100_000_u32 {
            subject.now += Duration::from_micros(12);
            // Spread over the /8, and more than the limit from one address.
            let forged = match number % 2 {
                0 => Ipv4Addr::from_bits(198 << 24 | number.wrapping_mul(0x9e37_79b9) >> 8),
                _ => victim,
            };
            over += 1 - sent([subject.solicit(forged)]);
            if number % 100 == 0 {
                assert_eq!(sent([subject.solicit(CLIENT)]), 1, "{number}");
            }
        }
        assert!(over > 20_000, "{over}");
    }
}

/// Their neighbour in the same network is answered every time.
#[test]
fn two_busy_hosts_cost_nobody() {
    let mut subject = Subject::new(Some((10_000, 10_000)));
    let busy = [8, 9].map(|host| Ipv4Addr::new(198, 51, 100, host));
    let mut answers = [0, 0];
    for turn in 0..40_000 {
        for (host, count) in busy.into_iter().zip(&mut answers) {
            *count += sent([subject.solicit(host)]);
        }
        if turn % 100 == 0 {
            assert_eq!(sent([subject.solicit(CLIENT)]), 1, "{turn}");
        }
        subject.now += Duration::from_micros(50);
    }
    // Two seconds of 20,000 each: a burst of 10,000, and then 10,000 in each.
    for count in answers {
        assert!((29_990..=30_000).contains(&count), "{count}");
    }
}

#[test]
fn no_limit_refuses_nobody() {
    let mut subject = Subject::new(None);
    assert_eq!(sent((0..100_000).map(|_| subject.solicit(CLIENT))), 100_000);
}

/// With a limit or without.
#[test]
fn networks_share_what_is_scarce() {
    for limit in [None, Some((10_000, 10_000))] {
        let mut subject = Subject::new(limit);
        let mut crowded = 0;
        for number in 0..10_000 {
            if number % 64 == 0 {
                subject.crowd(0);
            }
            let verdict = subject.solicit(address(number));
            crowded += u32::from(verdict == Verdict::Drop(Reason::Crowded));
            if number % 100 == 0 {
                assert_eq!(sent([subject.solicit(CLIENT)]), 1, "{number}");
            }
            subject.now += Duration::from_micros(10);
        }
        assert!(crowded > 1000, "{crowded}");
    }
}

/// It is not sent, so that its receiver may still have as much.
#[test]
fn a_refusal_spends_no_allowance() {
    let mut subject = Subject::new(Some((1, 8000)));
    let mut had = 0;
    for _ in 0..10 {
        subject.crowd(0);
        for _ in 0..1000 {
            had += u32::from(matches!(subject.solicit(CLIENT), Verdict::Send(_)));
        }
        let _quiet = subject.solicit(address(1));
        subject.now += Duration::from_millis(10);
    }
    assert!((1000..8000).contains(&had), "{had}");
    // After a rest, nothing is scarce.
    subject.crowd(100);
    had += sent((0..10_000).map(|_| subject.solicit(CLIENT)));
    assert_eq!(had, 8000);
}

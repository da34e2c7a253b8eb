//! A simulated worker under floods: datagrams and their cost are numbers, and no test waits for a clock.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows has failed"
)]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::mem;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::Batch;
use super::shares::Shares;

/// Nanoseconds to receive a datagram, and to answer one, near what the bench measures.
const RECEIVE: u64 = 1_200;
const ANSWER: u64 = 8_000;
/// How many datagrams can wait. So many small ones fit in a `ReceiveBuffer` of 4 MiB on Linux.
const BUFFER: usize = 10_000;
const BATCH: usize = 64;
const SECOND: u64 = 1_000_000_000;

/// Who asks.
#[derive(Clone, Copy)]
struct Crowd {
    network: Ipv4Addr,
    /// Length of its prefix; sources are random in it.
    length: u32,
    /// Questions a second, at random times.
    rate: f64,
    /// When it asks, in nanoseconds.
    from: u64,
    until: u64,
    /// It sends what nobody answers.
    junk: bool,
}

fn crowd(network: [u8; 4], length: u32, rate: f64) -> Crowd {
    Crowd {
        network: network.into(),
        length,
        rate,
        from: 0,
        until: u64::MAX,
        junk: false,
    }
}

/// What became of the questions of a crowd.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
struct Outcome {
    asked: f64,
    answered: f64,
    refused: f64,
}

impl Outcome {
    fn part(self) -> f64 {
        self.answered / self.asked
    }
}

/// What a worker knows and does.
#[derive(Clone, Copy)]
struct Worker {
    shares: bool,
    /// The system tells how much waits.
    tells: bool,
}

const TELLING: Worker = Worker {
    shares: true,
    tells: true,
};
const SILENT: Worker = Worker {
    tells: false,
    ..TELLING
};
const UNLIMITED: Worker = Worker {
    shares: false,
    ..TELLING
};

struct Random(u64);

impl Random {
    /// xorshift64*
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    /// Until the next question of a crowd that asks so often a second.
    fn pause(&mut self, rate: f64) -> u64 {
        let uniform = (f64::from(self.next()) + 1.0) / 4_294_967_296.0;
        (-uniform.ln() / rate * SECOND as f64) as u64
    }
}

impl Worker {
    /// Serves for so long; the outcomes are those of what was asked after `from`.
    fn serve(self, crowds: &[Crowd], from: u64, until: u64) -> Vec<Outcome> {
        let mut outcomes = vec![Outcome::default(); crowds.len()];
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut shares = Shares::new();
        let mut coming: BinaryHeap<_> = crowds
            .iter()
            .enumerate()
            .map(|(index, crowd)| Reverse((crowd.from + random.pause(crowd.rate), index)))
            .collect();
        let mut waiting = VecDeque::new();
        let (mut now, mut rest) = (0, 0);
        while now < until {
            while let Some(&Reverse((at, index))) = coming.peek().filter(|next| next.0.0 <= now) {
                coming.pop();
                let crowd = &crowds[index];
                let next = at + random.pause(crowd.rate);
                if next < crowd.until {
                    coming.push(Reverse((next, index)));
                }
                let part = u64::from(random.next()) & ((1 << (32 - crowd.length)) - 1);
                let source = Ipv4Addr::from_bits(crowd.network.to_bits() | part as u32);
                let counts = at >= from;
                outcomes[index].asked += f64::from(u8::from(counts));
                if waiting.len() < BUFFER {
                    waiting.push_back((index, source, counts));
                }
            }
            let batch: Vec<_> = waiting.drain(..waiting.len().min(BATCH)).collect();
            if batch.is_empty() {
                let Some(Reverse((next, _))) = coming.peek() else {
                    break;
                };
                rest += *next - now;
                now = *next;
                continue;
            }
            let told = self.tells.then_some(waiting.len() > BUFFER / 2);
            let arrived = Batch {
                datagrams: batch.len(),
                full: batch.len() == BATCH,
                backlogged: told,
                rest: Duration::from_nanos(mem::take(&mut rest)),
            };
            shares.arrived(arrived, now);
            let mut cost = 2_000;
            for (index, source, counts) in batch {
                cost += RECEIVE;
                if crowds[index].junk {
                    continue;
                }
                let answered = !self.shares || shares.admit(source, now);
                cost += u64::from(answered) * ANSWER;
                let outcome = &mut outcomes[index];
                outcome.answered += f64::from(u8::from(answered && counts));
                outcome.refused += f64::from(u8::from(!answered && counts));
            }
            now += cost;
        }
        outcomes
    }
}

/// What the worker can answer in a second while it receives so much.
fn capacity(arriving: f64) -> f64 {
    (1e9 - arriving * RECEIVE as f64) / ANSWER as f64
}

const CLIENT: [u8; 4] = [198, 51, 100, 7];
const BOTH: [Worker; 2] = [TELLING, SILENT];
/// The beginning of a flood, which may cost a little, is over after so long.
const WARM: u64 = SECOND / 4;
const END: u64 = SECOND * 3 / 4;

/// Floods from one source, a /24, a /16 and a /8, each beside the network of the client.
#[test]
fn a_flood_costs_its_neighbours_nothing() {
    let floods = [
        ([198, 51, 100, 8], 32),
        ([198, 51, 101, 0], 24),
        ([198, 52, 0, 0], 16),
        ([199, 0, 0, 0], 8),
    ];
    for (worker, rate) in BOTH.into_iter().zip([150e3, 400e3]) {
        for (network, length) in floods {
            let crowds = [crowd(CLIENT, 32, 1000.0), crowd(network, length, rate)];
            let [client, flood] = worker.serve(&crowds, WARM, END)[..] else {
                unreachable!()
            };
            assert!(client.part() > 0.99, "{network:?} {rate} {client:?}");
            // What can be answered is, or nearly.
            let time = (END - WARM) as f64 / SECOND as f64;
            let most = capacity(rate) * time;
            assert!(flood.answered > 0.85 * most, "{network:?} {rate} {flood:?}");
            let [client, _] = worker.serve(&crowds, 0, END)[..] else {
                unreachable!()
            };
            assert!(client.part() > 0.95, "{network:?} {rate} {client:?}");
        }
    }
}

/// Nobody would be better off with shares, so there are none.
#[test]
fn clients_inside_a_flood_fare_as_if_nobody_divided() {
    for (worker, length) in [(TELLING, 24), (SILENT, 16), (TELLING, 8), (SILENT, 0)] {
        let network = Ipv4Addr::from_bits(
            u32::from_be_bytes(CLIENT) & u32::MAX.checked_shl(32 - length).unwrap_or(0),
        );
        let crowds = [
            crowd(CLIENT, 32, 5000.0),
            crowd(network.octets(), length, 300e3),
        ];
        let with = worker.serve(&crowds, 0, END);
        let without = UNLIMITED.serve(&crowds, 0, END);
        assert_eq!(with, without, "{network}/{length}");
    }
}

#[test]
fn busy_networks_share_alike_and_quiet_ones_lose_nothing() {
    for worker in BOTH {
        let crowds = [
            crowd(CLIENT, 32, 40e3),
            crowd([192, 0, 2, 0], 24, 60e3),
            crowd([11, 0, 0, 0], 8, 120e3),
            crowd([203, 0, 113, 5], 32, 1000.0),
        ];
        let outcomes = worker.serve(&crowds, WARM, END);
        let share = capacity(221e3) / 3.0 * (END - WARM) as f64 / SECOND as f64;
        for outcome in &outcomes[..3] {
            let part = outcome.answered / share;
            assert!((0.85..1.1).contains(&part), "{part} {outcomes:?}");
        }
        assert!(outcomes[3].part() > 0.99, "{outcomes:?}");
    }
}

/// Two busy hosts of one /24, an attacker who forges all of a /8, and others, within the capacity.
#[test]
fn nothing_is_refused_that_can_be_answered() {
    for worker in BOTH {
        let crowds = [
            crowd(CLIENT, 32, 20e3),
            crowd([198, 51, 100, 8], 32, 20e3),
            crowd([198, 51, 100, 9], 32, 100.0),
            crowd([198, 0, 0, 0], 8, 45e3),
            crowd([192, 0, 2, 7], 32, 1000.0),
        ];
        for outcome in worker.serve(&crowds, 0, END) {
            assert!(
                outcome.refused == 0.0 && outcome.part() > 0.99,
                "{outcome:?}"
            );
        }
    }
}

/// Less than half of the buffer or, where the system does not tell, fewer than 32 batches.
#[test]
fn a_burst_is_answered() {
    for (worker, size) in [(TELLING, 4500.0), (SILENT, 2000.0)] {
        let burst = Crowd {
            until: SECOND / 100,
            ..crowd([192, 0, 2, 7], 32, size * 100.0)
        };
        let crowds = [crowd(CLIENT, 32, 1000.0), burst];
        for outcome in worker.serve(&crowds, 0, END) {
            assert!(
                outcome.refused == 0.0 && outcome.part() > 0.99,
                "{outcome:?}"
            );
        }
    }
}

#[test]
fn when_the_flood_is_over_all_is_answered() {
    for worker in BOTH {
        let flood = Crowd {
            until: WARM,
            ..crowd([11, 0, 0, 0], 8, 400e3)
        };
        let late = Crowd {
            from: WARM + SECOND / 10,
            ..crowd([12, 0, 0, 0], 8, 80e3)
        };
        let crowds = [crowd(CLIENT, 32, 1000.0), flood, late];
        let outcomes = worker.serve(&crowds, WARM + SECOND / 10, END);
        assert!(outcomes[1].asked == 0.0, "{outcomes:?}");
        assert!(
            outcomes[0].refused + outcomes[2].refused == 0.0,
            "{outcomes:?}"
        );
        assert!(
            outcomes[0].part().min(outcomes[2].part()) > 0.98,
            "{outcomes:?}"
        );
    }
}

/// The flood comes from another /8 every 10 ms, or from one /8 and from many in turn.
#[test]
fn a_flood_that_moves_costs_little_more() {
    for (worker, spread) in [(TELLING, false), (SILENT, true)] {
        let mut crowds = vec![crowd(CLIENT, 32, 1000.0)];
        for (turn, network) in (1..=100).enumerate() {
            let (network, length) = match spread && turn % 2 == 0 {
                true => ([96, 0, 0, 0], 3),
                false => ([network, 0, 0, 0], 8),
            };
            let from = turn as u64 * SECOND / 100;
            crowds.push(Crowd {
                from,
                until: from + SECOND / 100,
                ..crowd(network, length, 300e3)
            });
        }
        let client = worker.serve(&crowds, 0, END)[0];
        assert!(client.part() > 0.95, "{client:?}");
    }
}

/// If datagrams that are never answered take all of the time, to refuse others gains nothing.
#[test]
fn junk_makes_nobody_refuse() {
    for worker in BOTH {
        let junk = Crowd {
            junk: true,
            ..crowd([11, 0, 0, 0], 8, 1000e3)
        };
        let crowds = [
            crowd(CLIENT, 32, 10e3),
            crowd([192, 0, 2, 7], 32, 1000.0),
            junk,
        ];
        let outcomes = worker.serve(&crowds, 0, END);
        assert!(
            outcomes[0].refused + outcomes[1].refused == 0.0,
            "{outcomes:?}"
        );
        assert!(outcomes[0].part() > 0.7, "{outcomes:?}");
    }
}

/// The kernel drops datagrams of all networks alike. Those of the client that it leaves are answered.
#[test]
fn beyond_what_can_be_received_the_rest_is_shared() {
    let crowds = [crowd(CLIENT, 32, 1000.0), crowd([11, 0, 0, 0], 8, 1000e3)];
    for worker in BOTH {
        let client = worker.serve(&crowds, WARM, END)[0];
        assert!(client.part() > 0.65 && client.refused == 0.0, "{client:?}");
    }
    assert!(UNLIMITED.serve(&crowds, WARM, END)[0].part() < 0.15);
}

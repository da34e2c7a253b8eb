//! A program and a server with the same settings.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use miredo_server::acceleration::rules;
use miredo_server::server::{Arrival, Server, Settings};
use miredo_server::verdict::{Kind, Reason, Route, Verdict};
use miredo_server::wire::encapsulation::Datagram;
use miredo_server::wire::options::Options;
use platform::accelerator::{Counts, Drop};
use platform::xdp::{Clock, Program, XDP_DROP, XDP_PASS, XDP_TX};
use platform::{OsError, REPLY_MAX, Via};

use crate::frame::{Frame, Held, OURS, PRIMARY, SECONDARY};

/// Both, and what they have done.
pub(crate) struct Pair {
    settings: Settings,
    program: Program,
    server: Server,
    counts: Counts,
    passed: u64,
}

/// What became of frames.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) compared: u64,
    pub(crate) answered: u64,
    pub(crate) passed: u64,
    pub(crate) dropped: Vec<(Drop, u64)>,
}

/// What a program is to do.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Pass,
    Drop(Drop),
    Answer {
        via: Via,
        to: SocketAddrV4,
        bytes: Vec<u8>,
    },
}

impl Pair {
    pub(crate) fn try_new(settings: Settings) -> Result<Self, OsError> {
        let bound = (settings.primary, settings.secondary);
        let rules = rules(&settings, bound, true);
        Ok(Self {
            program: Program::load(&rules, OURS, Clock::Kernel)?,
            server: Server::new(settings.clone()),
            settings,
            counts: Counts::default(),
            passed: 0,
        })
    }

    /// Lets both decide about a frame, and panics if they do not agree. Returns what the program made of it.
    pub(crate) fn compare(&mut self, frame: &Frame, name: &str) -> Frame {
        let expected = self.expected(frame);
        let Frame(octets) = frame;
        let run = self.program.run(octets).unwrap();
        let after = Frame(run.frame);
        let agrees = match &expected {
            Expected::Pass => run.action == XDP_PASS && after.0 == *octets,
            Expected::Drop(_) => run.action == XDP_DROP,
            Expected::Answer { via, to, bytes } => {
                run.action == XDP_TX && is_answer(frame, &after, *via, *to, bytes)
            }
        };
        assert!(
            agrees,
            "{name}: expected {expected:02x?}\nof {octets:02x?}\nfrom {:?}\nthe program: {} {after:02x?}\n{:?}",
            frame.held(OURS).map(|held| held.source),
            run.action,
            self.settings
        );
        self.count(frame, &expected);
        after
    }

    /// What the program is to do: what the server does, of what it can be sure of.
    fn expected(&mut self, frame: &Frame) -> Expected {
        let Some((held, via)) = self.held(frame) else {
            return Expected::Pass;
        };
        let mut out = [0xaa; REPLY_MAX];
        let arrival = Arrival {
            bytes: held.bytes,
            truncated: false,
            from: held.source,
            via,
            at: Instant::now(),
        };
        let verdict = self.server.handle(&arrival, &mut out);
        if self.is_this_host(*held.source.ip()) && !is_of_source(&verdict) {
            return Expected::Pass;
        }
        match verdict {
            Verdict::Drop(reason) => early(reason).map_or(Expected::Pass, Expected::Drop),
            Verdict::Send(reply) => match reply.route {
                Route::Udp { via, to } if reply.kind == Kind::Advertisement => {
                    let bytes = out[..reply.len].to_vec();
                    match is_simple(held.bytes) {
                        true => Expected::Answer { via, to, bytes },
                        false => Expected::Pass,
                    }
                }
                _ => Expected::Pass,
            },
        }
    }

    /// No datagram from there comes by the wire, and the kernel sees to that.
    fn is_this_host(&self, source: Ipv4Addr) -> bool {
        let own = self.settings.own.contains(&source.into());
        own || source.is_loopback()
            || source == self.settings.primary
            || Some(source) == self.settings.secondary
    }

    /// The datagram for the server in a frame.
    fn held<'f>(&self, frame: &'f Frame) -> Option<(Held<'f>, Via)> {
        let held = frame.held(OURS)?;
        let via = match *held.destination.ip() {
            address if address == self.settings.primary => Via::Primary,
            address if Some(address) == self.settings.secondary => Via::Secondary,
            _ => return None,
        };
        (held.destination.port() == 3544).then_some((held, via))
    }

    fn count(&mut self, frame: &Frame, expected: &Expected) {
        match expected {
            Expected::Pass => {
                self.passed += 1;
                return;
            }
            Expected::Drop(reason) => self.counts.dropped[*reason as usize] += 1,
            Expected::Answer { .. } => self.counts.advertisements += 1,
        }
        let (_, via) = self.held(frame).unwrap();
        self.counts.received[usize::from(via == Via::Secondary)] += 1;
    }

    /// What the program is to have counted.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Each datagram was counted once, and where it belongs.
    pub(crate) fn check_counts(&self) {
        assert_eq!(self.program.counts().unwrap(), self.counts);
    }
}

/// Whether rule 3 was enough.
fn is_of_source(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Drop(Reason::SourcePort | Reason::SourceAddress | Reason::SourceLoop)
    )
}

/// The reason of a program that is that of the server.
fn early(reason: Reason) -> Option<Drop> {
    let mut early = Drop::ALL.into_iter();
    early.find(|drop| Reason::from(*drop) == reason)
}

/// Whether a solicitation is one of those that programs answer: it names nobody, and has few options.
fn is_simple(bytes: &[u8]) -> bool {
    let datagram = Datagram::parse(bytes).unwrap();
    let is_named = datagram
        .authentication
        .is_some_and(|header| !header.identifier.is_empty() || !header.value.is_empty());
    let payload = datagram.packet.payload();
    let options = Options::parse(&payload[8..]).unwrap();
    !is_named && payload.len() <= 128 && options.iter().count() <= 8
}

/// Whether a frame is the answer to another, back to where that came from, from the right address, as long as it has to be.
fn is_answer(question: &Frame, frame: &Frame, via: Via, to: SocketAddrV4, bytes: &[u8]) -> bool {
    let from = match via {
        Via::Primary => PRIMARY,
        Via::Secondary => SECONDARY,
    };
    let held = Held {
        source: SocketAddrV4::new(from, 3544),
        destination: to,
        bytes,
    };
    let Frame(octets) = frame;
    let mut router = [0; 6];
    router.copy_from_slice(&question.0[6..12]);
    octets[6..12] == OURS
        && octets.len() == 42 + bytes.len()
        // No DF bit, the usual time to live, and a checksum.
        && octets[20..23] == [0, 0, 64]
        && octets[40..42] != [0, 0]
        && frame.held(router) == Some(held)
}

/// A pair for each of the settings that were asked for.
#[derive(Default)]
pub(crate) struct Pairs(HashMap<String, Pair>);

impl Pairs {
    pub(crate) fn with(&mut self, settings: &Settings) -> &mut Pair {
        let Self(pairs) = self;
        pairs
            .entry(format!("{settings:?}"))
            .or_insert_with(|| Pair::try_new(settings.clone()).unwrap())
    }

    pub(crate) fn check_counts(&self) {
        self.0.values().for_each(Pair::check_counts);
    }

    pub(crate) fn seen(&self) -> Seen {
        let mut seen = Seen {
            dropped: Drop::ALL.map(|reason| (reason, 0)).to_vec(),
            ..Seen::default()
        };
        for pair in self.0.values() {
            seen.passed += pair.passed;
            seen.answered += pair.counts.advertisements;
            for ((_, sum), (_, more)) in seen.dropped.iter_mut().zip(pair.counts.dropped()) {
                *sum += more;
            }
        }
        let dropped: u64 = seen.dropped.iter().map(|(_, count)| count).sum();
        seen.compared = seen.passed + seen.answered + dropped;
        // The limits are off.
        seen.dropped
            .retain(|(reason, _)| *reason != Drop::RateLimited);
        seen
    }
}

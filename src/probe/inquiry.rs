//! One server asked: what to send when, until every question is answered or given up. No socket and no clock.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::answer::{Answer, Reading, Unfit};
use super::question::{Nonces, Port, Question, Target, Transmit};
use crate::qualification::Credentials;

mod asked;

use asked::Asked;

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An advertisement that a client takes.
    Answered(Answer),
    /// An answer from there that none takes.
    Unfit {
        /// Who sent it.
        from: SocketAddrV4,
        /// Why.
        why: Unfit,
    },
    /// ICMP said that nobody listens there.
    Refused,
    /// The system did not send it, and said why.
    Failed(String),
    /// Nothing came.
    Silent,
    /// Not asked: the server has no secondary address.
    Unasked,
}

impl Outcome {
    /// The answer, if there is one.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answered(answer) => Some(answer),
            _ => None,
        }
    }
}

/// Something to tell whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The question goes out for the first time.
    Asked(Question),
    /// Its outcome is known.
    Decided(Question),
}

/// Tries after which a question is given up, once something has been heard of the server: that of RFC 4380 section 5.2.1.
const TRIES: usize = 3;
/// Shortest time between two tries: less would be no try of its own on a busy link.
const SHORTEST: Duration = Duration::from_millis(250);
/// Two tries are so many round trips apart, once one is known.
const ROUND_TRIPS: u32 = 4;
/// Until then, so many tries share the time.
const SHARES: u32 = 5;

/// The questions to one server under way.
#[derive(Debug)]
pub struct Inquiry {
    target: Target,
    asked: [Asked; 4],
    deadline: Instant,
    /// Time between tries while nothing has been heard.
    patience: Duration,
    /// How long the first sign of life took.
    round_trip: Option<Duration>,
    nonces: Nonces,
    credentials: Option<Credentials>,
    outgoing: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Inquiry {
    /// Begins to ask `target` at `now`; ends after `timeout` at the latest.
    #[must_use]
    pub fn new(target: Target, now: Instant, timeout: Duration) -> Self {
        let patience = timeout.checked_div(SHARES).unwrap_or(timeout);
        let late = now.checked_add(patience.saturating_mul(2)).unwrap_or(now);
        let asked = Question::ALL.map(|question| Asked {
            question,
            tries: Vec::new(),
            next: if question == Question::Second {
                late
            } else {
                now
            },
            outcome: question.to(&target).is_none().then_some(Outcome::Unasked),
            noise: None,
        });
        Self {
            target,
            asked,
            deadline: now.checked_add(timeout).unwrap_or(now),
            patience,
            round_trip: None,
            nonces: Nonces::default(),
            credentials: None,
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Asks as a client with these credentials, if there are any.
    #[must_use]
    pub fn with(self, credentials: Option<&Credentials>) -> Self {
        Self {
            credentials: credentials.cloned(),
            ..self
        }
    }

    /// Whom it asks.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Does what is due at `now`: call it first of all, after each datagram and at [`Self::wake`].
    pub fn advance(&mut self, now: Instant) {
        let interval = self.interval();
        for asked in self.asked.iter_mut().filter(|asked| asked.is_open()) {
            let hopeless = self.round_trip.is_some() && asked.tries.len() >= TRIES;
            if now >= self.deadline || (hopeless && now >= asked.next) {
                asked.give_up(&mut self.events);
            } else if now >= asked.next {
                asked.next = now.checked_add(interval).unwrap_or(now);
                asked.send(
                    &self.target,
                    now,
                    &mut self.nonces,
                    self.credentials.as_ref(),
                    &mut self.outgoing,
                    &mut self.events,
                );
            }
        }
        self.release_last(now);
    }

    /// The next datagram to send.
    pub fn transmit(&mut self) -> Option<Transmit> {
        self.outgoing.pop_front()
    }

    /// The next thing to tell.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::advance`] is due; `None` when every question has its outcome.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        let open = self.asked.iter().filter(|asked| asked.is_open());
        open.map(|asked| asked.next.min(self.deadline)).min()
    }

    /// Takes a datagram that came to `port`.
    pub fn receive(&mut self, now: Instant, port: Port, from: SocketAddrV4, bytes: &[u8]) {
        let reading = Reading::new(bytes);
        let mine = self
            .asked
            .iter_mut()
            .filter(|asked| asked.question.port() == port);
        for asked in mine {
            let Some(sent) = reading.nonce.and_then(|nonce| asked.sent(nonce)) else {
                continue;
            };
            let after = now.saturating_duration_since(sent);
            let outcome = match reading.answer(
                asked.question.source(),
                from,
                after,
                self.credentials.as_ref(),
            ) {
                Ok(answer) => Outcome::Answered(answer),
                Err(why) => Outcome::Unfit { from, why },
            };
            asked.decide(outcome, &mut self.events);
            self.heard(after);
            self.release_last(now);
            return;
        }
        self.take_noise(now, port, from, &reading);
    }

    /// Takes note that what was sent to `to` was refused: nobody listens there.
    pub fn refused(&mut self, now: Instant, to: SocketAddrV4) {
        let mut sent = None;
        for asked in &mut self.asked {
            if asked.question.to(&self.target) == Some(to) && asked.is_open() {
                sent = sent.or(asked.tries.first().map(|(_, sent)| *sent));
                asked.decide(Outcome::Refused, &mut self.events);
            }
        }
        if let Some(sent) = sent {
            self.heard(now.saturating_duration_since(sent));
        }
        self.release_last(now);
    }

    /// Takes note that the system did not send from `port` to `to`, and why.
    pub fn failed(&mut self, now: Instant, port: Port, to: SocketAddrV4, why: &str) {
        for asked in &mut self.asked {
            let question = asked.question;
            if question.port() == port && question.to(&self.target) == Some(to) && asked.is_open() {
                asked.decide(Outcome::Failed(why.to_owned()), &mut self.events);
            }
        }
        self.release_last(now);
    }

    /// What became of a question; silence while it is open.
    #[must_use]
    pub fn outcome(&self, question: Question) -> Outcome {
        let asked = self.asked.iter().find(|asked| asked.question == question);
        let outcome = asked.and_then(|asked| asked.outcome.clone());
        outcome.unwrap_or(Outcome::Silent)
    }

    /// A datagram without a nonce of ours, from one of the addresses asked: something answers there, which is no server. Not
    /// an outcome yet, since anybody can send it.
    fn take_noise(&mut self, now: Instant, port: Port, from: SocketAddrV4, reading: &Reading<'_>) {
        let mut sent = None;
        for asked in &mut self.asked {
            let question = asked.question;
            if question.port() != port || question.answered_from(&self.target) != Some(from) {
                continue;
            }
            if asked.is_open() {
                let why = match reading.answer(
                    question.source(),
                    from,
                    Duration::ZERO,
                    self.credentials.as_ref(),
                ) {
                    Ok(_) => Unfit::OtherNonce,
                    Err(why) => why,
                };
                asked.noise = Some((from, why));
                sent = sent.or(asked.tries.first().map(|(_, sent)| *sent));
            }
        }
        if let Some(sent) = sent {
            self.heard(now.saturating_duration_since(sent));
        }
    }

    /// Lets the last question go once the cone question has its outcome.
    fn release_last(&mut self, now: Instant) {
        let is_cone = |asked: &Asked| asked.question == Question::Cone;
        if self
            .asked
            .iter()
            .any(|asked| is_cone(asked) && asked.is_open())
        {
            return;
        }
        let unasked = self.asked.iter_mut().filter(|asked| asked.tries.is_empty());
        for asked in unasked {
            asked.next = asked.next.min(now);
        }
    }

    /// A first sign of life: from now on it is known how long an answer takes.
    fn heard(&mut self, after: Duration) {
        if self.round_trip.is_some() {
            return;
        }
        self.round_trip = Some(after);
        let interval = self.interval();
        for asked in self.asked.iter_mut().filter(|asked| asked.is_open()) {
            let last = asked.tries.last().map(|(_, sent)| *sent);
            let next = last.and_then(|last| last.checked_add(interval));
            asked.next = next.map_or(asked.next, |next| next.min(asked.next));
        }
    }

    fn interval(&self) -> Duration {
        match self.round_trip {
            Some(time) => time.saturating_mul(ROUND_TRIPS).max(SHORTEST),
            None => self.patience,
        }
    }
}

//! One question of an inquiry.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::Instant;

use super::{Event, Outcome};
use crate::probe::answer::Unfit;
use crate::probe::question::{Nonce, Nonces, Question, Target, Transmit, solicitation};
use crate::qualification::Credentials;

/// A question with its tries.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) tries: Vec<(Nonce, Instant)>,
    /// When to try again, or to give up.
    pub(super) next: Instant,
    pub(super) outcome: Option<Outcome>,
    /// What came that was no answer.
    pub(super) noise: Option<(SocketAddrV4, Unfit)>,
}

impl Asked {
    pub(super) fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// When the try with this nonce was sent.
    pub(super) fn sent(&self, nonce: Nonce) -> Option<Instant> {
        let mut tries = self.tries.iter();
        tries.find_map(|(used, sent)| (*used == nonce).then_some(*sent))
    }

    pub(super) fn send(
        &mut self,
        target: &Target,
        now: Instant,
        nonces: &mut Nonces,
        credentials: Option<&Credentials>,
        outgoing: &mut VecDeque<Transmit>,
        events: &mut VecDeque<Event>,
    ) {
        let Some(to) = self.question.to(target) else {
            return;
        };
        if self.tries.is_empty() {
            events.push_back(Event::Asked(self.question));
        }
        let nonce = nonces.fresh();
        self.tries.push((nonce, now));
        let mut send = |port, nonce| {
            outgoing.push_back(Transmit {
                port,
                to,
                bytes: solicitation(nonce, self.question.source(), credentials),
            });
        };
        send(self.question.port(), nonce);
        if let Some(port) = self.question.hears_refusal() {
            send(port, nonces.fresh());
        }
    }

    /// The first outcome stands, but for one: a valid answer outweighs what anybody may have sent.
    pub(super) fn decide(&mut self, outcome: Outcome, events: &mut VecDeque<Event>) {
        let better = matches!(outcome, Outcome::Answered(_))
            && !matches!(self.outcome, Some(Outcome::Answered(_)));
        if self.is_open() || better {
            self.outcome = Some(outcome);
            events.push_back(Event::Decided(self.question));
        }
    }

    pub(super) fn give_up(&mut self, events: &mut VecDeque<Event>) {
        let outcome = match self.noise.take() {
            Some((from, why)) => Outcome::Unfit { from, why },
            None => Outcome::Silent,
        };
        self.decide(outcome, events);
    }
}

//! Keeps the mapping of the service port alive (RFC 4380 section 5.2.5).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::answer::Reading;
use super::question::{Nonce, Nonces, Question, solicitation};
use crate::qualification::Credentials;
use crate::wire::address::ServicePrefix;

/// The server is heard of at least so often; less by up to a quarter, at random (RFC 4380 section 5.2).
const REFRESH: Duration = Duration::from_secs(30);
/// Milliseconds of that quarter.
const QUARTER: u64 = 7_500;
/// Time for an answer (RFC 4380 section 5.2.1).
const WAIT: Duration = Duration::from_secs(4);
/// Solicitations without an answer after which the server counts as silent (RFC 4380 section 5.2.1).
const TRIES: u32 = 3;

/// What the server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The answer to a solicitation: the mapped address as it is now.
    Advertisement(SocketAddrV4),
    /// Something else.
    Other,
}

/// When the server was heard of, and when to ask it.
#[derive(Debug)]
pub struct Maintenance {
    server: Ipv4Addr,
    due: Instant,
    nonce: Option<Nonce>,
    credentials: Option<Credentials>,
    tries: u32,
    silent: bool,
}

impl Maintenance {
    /// The server was heard of at `now`.
    #[must_use]
    pub fn new(server: Ipv4Addr, now: Instant, nonces: &mut Nonces) -> Self {
        let mut maintenance = Self {
            server,
            due: now,
            nonce: None,
            credentials: None,
            tries: 0,
            silent: false,
        };
        maintenance.heard(now, nonces);
        maintenance
    }

    /// Asks as a client with these credentials, if there are any.
    #[must_use]
    pub fn with(self, credentials: Option<&Credentials>) -> Self {
        Self {
            credentials: credentials.cloned(),
            ..self
        }
    }

    /// When [`Self::advance`] is due.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// The solicitation to send at `now`, if one is due.
    pub fn advance(&mut self, now: Instant, nonces: &mut Nonces) -> Option<Vec<u8>> {
        if now < self.due {
            return None;
        }
        if self.tries == TRIES {
            self.silent = true;
        }
        self.tries = self.tries.saturating_add(1);
        let wait = if self.tries <= TRIES { WAIT } else { REFRESH };
        self.due = now.checked_add(wait).unwrap_or(now);
        let nonce = nonces.fresh();
        self.nonce = Some(nonce);
        Some(solicitation(
            nonce,
            Question::Primary.source(),
            self.credentials.as_ref(),
        ))
    }

    /// Whether the server became silent since the last call.
    pub fn became_silent(&mut self) -> bool {
        std::mem::take(&mut self.silent)
    }

    /// Takes a datagram of the server.
    pub fn receive(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
        nonces: &mut Nonces,
    ) -> Heard {
        self.heard(now, nonces);
        let reading = Reading::new(bytes);
        if reading.nonce.is_none() || reading.nonce != self.nonce {
            return Heard::Other;
        }
        let answer = reading.answer(
            Question::Primary.source(),
            from,
            Duration::ZERO,
            self.credentials.as_ref(),
        );
        match answer {
            Ok(answer) if self.is_of_server(answer.prefix) => Heard::Advertisement(answer.mapped),
            _ => Heard::Other,
        }
    }

    fn is_of_server(&self, prefix: Ipv6Addr) -> bool {
        ServicePrefix::of(prefix).client_prefix(self.server) == prefix
    }

    fn heard(&mut self, now: Instant, nonces: &mut Nonces) {
        let less = nonces.bits().checked_rem(QUARTER).unwrap_or(0);
        let interval = REFRESH.saturating_sub(Duration::from_millis(less));
        self.due = now.checked_add(interval).unwrap_or(now);
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_when_it_has_not_heard_for_long_and_says_once_that_it_is_silent() {
        let mut nonces = Nonces::default();
        let start = Instant::now();
        let mut maintenance = Maintenance::new(Ipv4Addr::new(192, 0, 2, 1), start, &mut nonces);
        let interval = maintenance.due() - start;
        assert!(interval > Duration::from_millis(22_500) && interval <= REFRESH);
        assert_eq!(maintenance.advance(start, &mut nonces), None);
        let mut silent = 0;
        let mut now = start;
        for _ in 0..5 {
            now = maintenance.due();
            assert!(maintenance.advance(now, &mut nonces).is_some());
            silent += u32::from(maintenance.became_silent());
        }
        assert_eq!(silent, 1);
        let from = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 3544);
        let heard = maintenance.receive(now, from, &[], &mut nonces);
        assert_eq!(heard, Heard::Other);
        assert!(maintenance.due() - now > Duration::from_millis(22_500));
    }
}

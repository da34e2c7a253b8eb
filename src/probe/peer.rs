//! The list of recent peers (RFC 4380 section 5.2), and the limits of what is sent to open a way to them.

use std::collections::VecDeque;
use std::net::{Ipv6Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::question::Nonce;

/// Bubbles, or echo requests through the server, that a peer is sent in vain before it is given up (RFC 4380 sections 5.2.4
/// and 5.2.6).
pub const TRIES: usize = 4;
/// So long no more bubbles are sent then (RFC 4380 section 5.2.6).
const FORGET: Duration = Duration::from_secs(300);
/// No two bubbles to one peer within this (RFC 4380 section 5.2.6).
const SHORTEST: Duration = Duration::from_secs(2);
/// Our own come further apart than that, so that the answer to each is not too early for its sender's clock.
const AGAIN: Duration = Duration::from_millis(2200);
/// So long a way stays open after the last packet from the peer (RFC 4380 section 5.2.4).
const VALID: Duration = Duration::from_secs(30);
/// More peers than this, and the one unused for longest is forgotten.
const MOST: usize = 128;
/// More waiting packets than this, and the oldest goes.
const QUEUE: usize = 4;

/// Who a peer is: its IPv6 address, and for relays that all call themselves by the same link-local one, its origin.
pub type Key = (Ipv6Addr, Option<SocketAddrV4>);

/// One peer.
#[derive(Debug)]
pub struct Peer {
    key: Key,
    /// Where packets to it go, once it is trusted.
    endpoint: Option<SocketAddrV4>,
    heard: Option<Instant>,
    used: Instant,
    /// When bubbles were sent that no direct packet answered yet.
    bubbles: VecDeque<Instant>,
    /// When nonces were sent to where it seems to be, in vain so far.
    challenges: VecDeque<Instant>,
    /// Packets that wait for the way to open.
    queue: VecDeque<Vec<u8>>,
    /// What the echo request of a direct IPv6 connectivity test holds (RFC 4380 section 5.2.9), and how many were sent.
    pub test: Option<(Nonce, usize)>,
    /// When to try again, while something waits.
    pub next: Option<Instant>,
    /// This host began it: the other side would try again by itself.
    pub wanted: bool,
    /// That the limit of bubbles is reached was told.
    pub told: bool,
    /// A bubble of a relay came for it.
    pub relay: Option<SocketAddrV4>,
}

/// Whether a bubble may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Yes; so many have been sent in 300 seconds then.
    Granted(usize),
    /// Not before this time.
    Later(Instant),
    /// No: four were not answered.
    Refused,
}

impl Peer {
    fn new(key: Key, now: Instant) -> Self {
        Self {
            key,
            endpoint: None,
            heard: None,
            used: now,
            bubbles: VecDeque::new(),
            challenges: VecDeque::new(),
            queue: VecDeque::new(),
            test: None,
            next: None,
            wanted: false,
            told: false,
            relay: None,
        }
    }

    /// Its IPv6 address.
    #[must_use]
    pub fn address(&self) -> Ipv6Addr {
        self.key.0
    }

    /// Where to send to it directly, while the way is open.
    #[must_use]
    pub fn open(&self, now: Instant) -> Option<SocketAddrV4> {
        let heard = self.heard?;
        let fresh = now.saturating_duration_since(heard) < VALID;
        self.endpoint.filter(|_| fresh)
    }

    /// Whether it is known to be there.
    #[must_use]
    pub fn is_trusted(&self, from: SocketAddrV4) -> bool {
        self.endpoint == Some(from)
    }

    /// A packet came directly from it: what waits may go.
    pub fn trust(&mut self, now: Instant, from: SocketAddrV4) -> VecDeque<Vec<u8>> {
        self.endpoint = Some(from);
        self.heard = Some(now);
        self.test = None;
        self.next = None;
        self.wanted = false;
        self.answered();
        std::mem::take(&mut self.queue)
    }

    /// A direct answer to its bubbles came.
    pub fn answered(&mut self) {
        self.bubbles.clear();
        self.challenges.clear();
        self.told = false;
    }

    /// Keeps a packet until the way is open.
    pub fn keep(&mut self, packet: Vec<u8>) {
        if self.queue.len() >= QUEUE {
            self.queue.pop_front();
        }
        self.queue.push_back(packet);
    }

    /// Lets go of what waits.
    pub fn give_up(&mut self) {
        self.queue.clear();
        self.test = None;
        self.next = None;
        self.wanted = false;
    }

    /// Asks for leave to send a bubble now, and takes note of it.
    pub fn bubble(&mut self, now: Instant) -> Permission {
        permission(&mut self.bubbles, now)
    }

    /// The same for a nonce to where it seems to be, which goes by the same limits.
    pub fn challenge(&mut self, now: Instant) -> Permission {
        permission(&mut self.challenges, now)
    }

    /// Tries again a while after `now`.
    pub fn try_again(&mut self, now: Instant) {
        self.next = now.checked_add(AGAIN);
    }
}

fn permission(sent: &mut VecDeque<Instant>, now: Instant) -> Permission {
    sent.retain(|sent| now.saturating_duration_since(*sent) < FORGET);
    let earliest = sent.back().and_then(|last| last.checked_add(SHORTEST));
    match earliest {
        Some(earliest) if earliest > now => return Permission::Later(earliest),
        _ if sent.len() >= TRIES => return Permission::Refused,
        _ => {}
    }
    sent.push_back(now);
    Permission::Granted(sent.len())
}

/// The peers, few enough to look through.
#[derive(Debug, Default)]
pub struct Peers(Vec<Peer>);

impl Peers {
    /// The peer, a new one if it is not known.
    pub fn entry(&mut self, key: Key, now: Instant) -> Option<&mut Peer> {
        let known = self.0.iter().position(|peer| peer.key == key);
        let at = known.unwrap_or_else(|| {
            self.make_room();
            self.0.push(Peer::new(key, now));
            self.0.len().saturating_sub(1)
        });
        let peer = self.0.get_mut(at)?;
        peer.used = now;
        Some(peer)
    }

    /// The peer, if it is known.
    pub fn find(&mut self, key: Key) -> Option<&mut Peer> {
        self.0.iter_mut().find(|peer| peer.key == key)
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.0.iter_mut()
    }

    /// The next of them to try again, and when.
    #[must_use]
    pub fn due(&self) -> Option<(Key, Instant)> {
        let waiting = self
            .0
            .iter()
            .filter_map(|peer| Some((peer.key, peer.next?)));
        waiting.min_by_key(|(_, next)| *next)
    }

    fn make_room(&mut self) {
        if self.0.len() < MOST {
            return;
        }
        let peers = self.0.iter().enumerate();
        if let Some((at, _)) = peers.min_by_key(|(_, peer)| peer.used) {
            self.0.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4380 section 5.2.6.
    #[test]
    fn four_bubbles_in_five_minutes_two_seconds_apart() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut peer = Peer::new((Ipv6Addr::LOCALHOST, None), start);
        assert_eq!(peer.bubble(at(0)), Permission::Granted(1));
        assert_eq!(peer.bubble(at(1)), Permission::Later(at(2)));
        for (seconds, number) in [(2, 2), (4, 3), (100, 4)] {
            assert_eq!(peer.bubble(at(seconds)), Permission::Granted(number));
        }
        assert_eq!(peer.bubble(at(299)), Permission::Refused);
        assert_eq!(peer.bubble(at(300)), Permission::Granted(4));
        assert_eq!(peer.bubble(at(301)), Permission::Later(at(302)));
        peer.answered();
        assert_eq!(peer.bubble(at(301)), Permission::Granted(1));
    }

    #[test]
    fn the_peer_unused_for_longest_is_forgotten() {
        let start = Instant::now();
        let mut peers = Peers::default();
        let key = |number: usize| (Ipv6Addr::from(number as u128), None);
        for number in 0..=MOST {
            peers.entry(key(number), start + Duration::from_secs(number as u64));
        }
        assert!(peers.find(key(0)).is_none());
        assert!(peers.find(key(1)).is_some() && peers.find(key(MOST)).is_some());
    }

    #[test]
    fn a_way_stays_open_for_thirty_seconds() {
        let start = Instant::now();
        let from: SocketAddrV4 = "192.0.2.1:5".parse().unwrap();
        let mut peer = Peer::new((Ipv6Addr::LOCALHOST, None), start);
        peer.keep(vec![1]);
        assert_eq!(peer.open(start), None);
        assert_eq!(peer.trust(start, from), [vec![1]]);
        assert_eq!(peer.open(start + Duration::from_secs(29)), Some(from));
        assert_eq!(peer.open(start + Duration::from_secs(30)), None);
    }
}

//! A Teredo client in user space that is qualified (RFC 4380 section 5.2): it keeps its mapping alive, opens ways to peers,
//! sends and answers echo requests. No socket, no clock, no other packets.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::maintenance::{Heard, Maintenance};
use super::peer::{Key, Leave, Peer, Peers, TRIES};
use super::question::{Nonce, Nonces, Port, Transmit};
use crate::wire::TEREDO_PORT;
use crate::wire::address::TeredoAddress;
use crate::wire::encapsulation::{Datagram, OriginIndication};
use crate::wire::icmp6::{ECHO_REQUEST, Echo};
use crate::wire::ipv6::{HEADER_LEN, Header, Packet};
use crate::wire::scope::{is_global_unicast, is_local, is_never_unicast};

/// Something to tell whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The mapping changed, and with it the client's address.
    Address(Ipv6Addr),
    /// The server has not answered for a while.
    ServerSilent,
    /// A bubble, or a pair, was sent to open the way to the peer: the how manieth.
    Opening(Ipv6Addr, usize),
    /// An echo request through the server tests the way to this address: the how manieth.
    Testing(Ipv6Addr, usize),
    /// A bubble came through the server from there.
    Bubble(Ipv6Addr, SocketAddrV4),
    /// The way to the peer is open: it sent directly from there.
    Open(Ipv6Addr, SocketAddrV4),
    /// An echo request came, with that sequence number and length of data, and is answered.
    Request(Ipv6Addr, u16, usize),
    /// The reply to the echo request with this sequence number came after that time.
    Reply(Ipv6Addr, u16, Duration),
    /// The native address does not answer tests. A relay sent a bubble meanwhile, where there is one.
    GivenUp(Ipv6Addr, Option<SocketAddrV4>),
    /// The peer was sent as many bubbles as it may be, and has not answered.
    Limit(Ipv6Addr),
}

/// Hop limit of what it sends.
const HOP_LIMIT: u8 = 64;
/// What a packet may have in bytes: the MTU of Teredo.
const PACKET_MAX: usize = 1280;
/// Echo requests that may be without a reply; older ones are forgotten.
const PINGS: usize = 64;

/// A qualified client.
#[derive(Debug)]
pub struct Client {
    address: TeredoAddress,
    /// As in the address, from now on.
    own: Ipv6Addr,
    /// Addresses that are not global may be sent to: the server is one of a laboratory.
    allow_private: bool,
    broadcasts: Vec<Ipv4Addr>,
    maintenance: Maintenance,
    peers: Peers,
    nonces: Nonces,
    identifier: u16,
    pings: VecDeque<(u16, Nonce, Instant)>,
    outgoing: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Client {
    /// A client that got `address` at `now`. `broadcasts` are the directed broadcasts of the host's networks, which it does
    /// not send to (RFC 4380 section 5.2.4).
    #[must_use]
    pub fn new(address: TeredoAddress, broadcasts: Vec<Ipv4Addr>, now: Instant) -> Self {
        let mut nonces = Nonces::default();
        // Twelve random bits make the address harder to guess (RFC 5991 section 3).
        let flags = (nonces.bits() & 0x3cff) as u16;
        let address = TeredoAddress { flags, ..address };
        Self {
            address,
            own: address.to_ipv6(),
            allow_private: is_local(address.server),
            broadcasts,
            maintenance: Maintenance::new(address.server, now, &mut nonces),
            peers: Peers::default(),
            identifier: nonces.bits() as u16,
            nonces,
            pings: VecDeque::new(),
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Its Teredo address.
    #[must_use]
    pub fn address(&self) -> Ipv6Addr {
        self.own
    }

    /// The address taken apart.
    #[must_use]
    pub fn parts(&self) -> &TeredoAddress {
        &self.address
    }

    /// The next datagram to send, all from the service port.
    pub fn transmit(&mut self) -> Option<Transmit> {
        self.outgoing.pop_front()
    }

    /// The next thing to tell.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::advance`] is due.
    #[must_use]
    pub fn wake(&self) -> Instant {
        let maintenance = self.maintenance.due();
        let peer = self.peers.due().map(|(_, due)| due);
        peer.map_or(maintenance, |due| due.min(maintenance))
    }

    /// Does what is due at `now`.
    pub fn advance(&mut self, now: Instant) {
        if let Some(bytes) = self.maintenance.advance(now, &mut self.nonces) {
            self.send_to_server(self.address.server, bytes);
        }
        if self.maintenance.became_silent() {
            self.events.push_back(Event::ServerSilent);
        }
        while let Some((key, due)) = self.peers.due()
            && due <= now
        {
            self.attempt(now, key);
        }
    }

    /// Sends an echo request.
    pub fn ping(&mut self, now: Instant, to: Ipv6Addr, sequence: u16) {
        let nonce = self.nonces.fresh();
        if self.pings.len() >= PINGS {
            self.pings.pop_front();
        }
        self.pings.push_back((sequence, nonce, now));
        let packet = self.request(to, sequence, &nonce);
        self.send(now, to, packet, true);
    }

    /// Tests the way to a native address (RFC 4380 section 5.2.9).
    pub fn test(&mut self, now: Instant, to: Ipv6Addr) {
        if let Some(peer) = self.peers.entry((to, None), now) {
            peer.wanted = true;
            self.attempt(now, (to, None));
        }
    }

    /// Takes a datagram that came to the service port (RFC 4380 section 5.2.3).
    pub fn receive(&mut self, now: Instant, from: SocketAddrV4, bytes: &[u8]) {
        let Ok(datagram) = Datagram::parse(bytes) else {
            return;
        };
        let is_server = from == SocketAddrV4::new(self.address.server, TEREDO_PORT);
        if is_server {
            match self.maintenance.receive(now, from, bytes, &mut self.nonces) {
                Heard::Advertisement(mapped) => return self.remap(mapped),
                Heard::Other => {}
            }
        }
        let packet = &datagram.packet;
        let source = packet.header().source;
        if packet.header().destination != self.own || source == self.own {
            return;
        }
        match datagram.origin.filter(|_| is_server) {
            Some(OriginIndication(origin)) => self.receive_indirect(now, packet, origin),
            None if is_server => {}
            None => self.receive_direct(now, packet, from),
        }
        self.deliver(now, packet);
    }

    /// Through the server: a bubble asks for one to the origin, so that the way opens from this side.
    fn receive_indirect(&mut self, now: Instant, packet: &Packet<'_>, origin: SocketAddrV4) {
        if !packet.is_bubble() {
            return;
        }
        let source = packet.header().source;
        self.events.push_back(Event::Bubble(source, origin));
        let is_relay = self.teredo(source).is_none();
        let key = (source, is_relay.then_some(origin));
        if is_relay {
            for peer in self.peers.iter_mut().filter(|peer| peer.test.is_some()) {
                peer.relay = Some(origin);
            }
        }
        if !self.may_send_to(origin) {
            return;
        }
        let bubble = bubble(self.own, source);
        let Some(peer) = self.peers.entry(key, now) else {
            return;
        };
        match peer.bubble(now) {
            Leave::Granted(_) => self.send_to(origin, bubble),
            Leave::Later(_) => {}
            Leave::Refused if peer.told => {}
            Leave::Refused => {
                peer.told = true;
                self.events.push_back(Event::Limit(source));
            }
        }
    }

    /// Not through the server: a Teredo peer proves by its address that it is there, a native one by what it repeats.
    fn receive_direct(&mut self, now: Instant, packet: &Packet<'_>, from: SocketAddrV4) {
        let source = packet.header().source;
        let relays = self
            .peers
            .iter_mut()
            .filter(|peer| peer.relay == Some(from));
        relays.for_each(Peer::answered);
        let teredo = self.teredo(source);
        let known = self.peers.find((source, None));
        let proven = teredo.is_some_and(|peer| peer.mapped == from)
            || known.is_some_and(|peer| {
                let test = peer.test.map(|(nonce, _)| nonce);
                peer.is_trusted(from) || test.is_some_and(|nonce| repeats(packet, &nonce))
            });
        if !proven {
            if let Some(teredo) = teredo {
                self.challenge(now, teredo, from);
            }
            return;
        }
        let Some(peer) = self.peers.entry((source, None), now) else {
            return;
        };
        let was_open = peer.open(now) == Some(from);
        let waiting = peer.trust(now, from);
        if !was_open {
            self.events.push_back(Event::Open(source, from));
        }
        for packet in waiting {
            self.send_to(from, packet);
        }
    }

    /// A Teredo peer whose packet does not come from its mapped address: some NATs hairpin like that, with their inner address
    /// in place of the peer's. It is trusted there if it repeats a nonce (RFC 4380 section 5.2.3 cases 2 and 6).
    fn challenge(&mut self, now: Instant, peer: TeredoAddress, from: SocketAddrV4) {
        let same_nat = peer.mapped.ip() == self.address.mapped.ip() && is_local(*from.ip());
        if !(same_nat || self.may_send_to(from)) {
            return;
        }
        let (fresh, address) = (self.nonces.fresh(), peer.to_ipv6());
        let Some(peer) = self.peers.entry((address, None), now) else {
            return;
        };
        if !matches!(peer.challenge(now), Leave::Granted(_)) {
            return;
        }
        let (nonce, _) = *peer.test.get_or_insert((fresh, 1));
        let packet = self.request(address, 1, &nonce);
        self.send_to(from, packet);
    }

    /// Answers echo requests, and takes replies to its own.
    fn deliver(&mut self, now: Instant, packet: &Packet<'_>) {
        let Ok(echo) = Echo::parse(packet) else {
            return;
        };
        let source = packet.header().source;
        if echo.kind == ECHO_REQUEST {
            let mut bytes = vec![0; PACKET_MAX];
            let left = echo
                .to_reply()
                .emit(&mut bytes, self.own, source, HOP_LIMIT);
            let Some(left) = left.map(|left| left.len()) else {
                return;
            };
            bytes.truncate(PACKET_MAX.saturating_sub(left));
            let event = Event::Request(source, echo.sequence, echo.data.len());
            self.events.push_back(event);
            self.send(now, source, bytes, false);
            return;
        }
        let mut pings = self.pings.iter();
        let found = pings.position(|(_, nonce, _)| echo.data == nonce);
        let ping = found.and_then(|at| self.pings.remove(at));
        if let Some((sequence, _, sent)) = ping.filter(|_| echo.identifier == self.identifier) {
            let after = now.saturating_duration_since(sent);
            self.events.push_back(Event::Reply(source, sequence, after));
        }
    }

    /// Sends a packet where the way is open, keeps it where it has to be opened first (RFC 4380 section 5.2.4). `wanted` ones
    /// are tried four times; others, once: who asked asks again.
    fn send(&mut self, now: Instant, to: Ipv6Addr, packet: Vec<u8>, wanted: bool) {
        let Some(peer) = self.peers.entry((to, None), now) else {
            return;
        };
        if let Some(endpoint) = peer.open(now) {
            return self.send_to(endpoint, packet);
        }
        peer.keep(packet);
        peer.wanted |= wanted;
        if peer.next.is_none() {
            self.attempt(now, (to, None));
        }
    }

    /// Tries to open the way to a peer, once more or for the first time.
    fn attempt(&mut self, now: Instant, key: Key) {
        match self.teredo(key.0) {
            Some(peer) => self.attempt_teredo(now, key, peer),
            None => self.attempt_native(now, key),
        }
    }

    /// A direct bubble opens this side's NAT, an indirect one asks the peer to open its own (RFC 4380 section 5.2.4 case 5).
    fn attempt_teredo(&mut self, now: Instant, key: Key, teredo: TeredoAddress) {
        let server = SocketAddrV4::new(teredo.server, TEREDO_PORT);
        let reachable = self.may_send_to(teredo.mapped) && self.may_send_to(server);
        let Some(peer) = self.peers.find(key) else {
            return;
        };
        let is_first = peer.next.is_none();
        let leave = match reachable && (peer.wanted || is_first) {
            true => peer.bubble(now),
            false => Leave::Refused,
        };
        match leave {
            Leave::Granted(number) => {
                peer.try_again(now);
                let bubble = bubble(self.own, key.0);
                self.events.push_back(Event::Opening(key.0, number));
                self.send_to(teredo.mapped, bubble.clone());
                self.send_to(server, bubble);
            }
            Leave::Later(when) => peer.next = Some(when),
            Leave::Refused => {
                let event = Event::Limit(key.0);
                self.events.extend(peer.wanted.then_some(event));
                peer.give_up();
            }
        }
    }

    /// An echo request through the server; the reply comes through the relay that the packets are to go to.
    fn attempt_native(&mut self, now: Instant, key: Key) {
        let fresh = self.nonces.fresh();
        let Some(peer) = self.peers.find(key) else {
            return;
        };
        let (nonce, sent) = peer.test.unwrap_or((fresh, 0));
        let most = if peer.wanted { TRIES } else { 1 };
        if sent >= most {
            let event = Event::GivenUp(key.0, peer.relay);
            self.events.extend(peer.wanted.then_some(event));
            peer.give_up();
            return;
        }
        let number = sent.saturating_add(1);
        peer.test = Some((nonce, number));
        peer.try_again(now);
        self.events.push_back(Event::Testing(key.0, number));
        let packet = self.request(key.0, number as u16, &nonce);
        self.send_to_server(self.address.server, packet);
    }

    fn remap(&mut self, mapped: SocketAddrV4) {
        if mapped != self.address.mapped {
            self.address.mapped = mapped;
            self.own = self.address.to_ipv6();
            self.events.push_back(Event::Address(self.own));
        }
    }

    fn request(&self, to: Ipv6Addr, sequence: u16, nonce: &Nonce) -> Vec<u8> {
        let echo = Echo {
            kind: ECHO_REQUEST,
            identifier: self.identifier,
            sequence,
            data: nonce,
        };
        let mut bytes = vec![0; REQUEST_LEN];
        let rest = echo.emit(&mut bytes, self.own, to, HOP_LIMIT);
        debug_assert_eq!(rest.map(|rest| rest.len()), Some(0));
        bytes
    }

    fn teredo(&self, address: Ipv6Addr) -> Option<TeredoAddress> {
        TeredoAddress::parse(self.address.prefix, address)
    }

    /// Whether datagrams may go there (RFC 4380 section 5.2.4).
    #[must_use]
    pub fn may_send_to(&self, to: SocketAddrV4) -> bool {
        let address = *to.ip();
        let unicast = match self.allow_private {
            true => !is_never_unicast(address),
            false => is_global_unicast(address),
        };
        unicast && to.port() != 0 && !self.broadcasts.contains(&address)
    }

    fn send_to_server(&mut self, server: Ipv4Addr, bytes: Vec<u8>) {
        self.send_to(SocketAddrV4::new(server, TEREDO_PORT), bytes);
    }

    fn send_to(&mut self, to: SocketAddrV4, bytes: Vec<u8>) {
        self.outgoing.push_back(Transmit {
            port: Port::Service,
            to,
            bytes,
        });
    }
}

/// An echo request with a nonce as its data.
const REQUEST_LEN: usize = HEADER_LEN + Echo::MIN_LEN + 8;

/// A bubble (RFC 4380 section 2.8).
fn bubble(source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    let rest = Header::bubble(source, destination).emit(&mut bytes);
    debug_assert_eq!(rest.map(|rest| rest.len()), Some(0));
    bytes
}

/// Whether a packet is an echo reply with that nonce as its data.
fn repeats(packet: &Packet<'_>, nonce: &Nonce) -> bool {
    Echo::parse(packet).is_ok_and(|echo| echo.kind != ECHO_REQUEST && echo.data == nonce)
}

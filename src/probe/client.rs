//! A Teredo client in user space that is qualified (RFC 4380 section 5.2): it keeps its mapping alive, opens paths to peers,
//! sends and answers echo requests. No socket, no clock, no other packets. `reception` has what comes, `paths` how paths are opened.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::maintenance::{Heard, Maintenance};
use super::peer::Peers;
use super::question::{Nonce, Nonces, Port, Transmit};
use crate::qualification::Credentials;
use crate::wire::TEREDO_PORT;
use crate::wire::address::TeredoAddress;
use crate::wire::encapsulation::{Datagram, OriginIndication};
use crate::wire::icmp6::{ECHO_REQUEST, Echo};
use crate::wire::ipv6::{HEADER_LEN, Header};
use crate::wire::scope::{is_global_unicast, is_local, is_never_unicast};

mod paths;
mod reception;

/// Something to tell whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The mapping changed, and with it the client's address.
    Address(Ipv6Addr),
    /// The server has not answered for a while.
    ServerSilent,
    /// A bubble, or a pair of them, was sent to open the way to the peer. The number counts from 1.
    Opening(Ipv6Addr, usize),
    /// An echo request through the server tests the way to this address. The number counts from 1.
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

    /// Asks its server as a client with these credentials, if there are any.
    #[must_use]
    pub fn with(self, credentials: Option<&Credentials>) -> Self {
        Self {
            maintenance: self.maintenance.with(credentials),
            ..self
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

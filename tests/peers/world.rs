//! A server, two clients, each behind a NAT of its own or both behind one, and a relay.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use miredo_server::probe::client::{Client, Event};
use miredo_server::server::{Arrival, Policy, Server, Settings};
use miredo_server::verdict::{Route, Verdict};
use miredo_server::wire::address::{ServicePrefix, TeredoAddress};
use miredo_server::wire::encapsulation::{Datagram, OriginIndication};
use miredo_server::wire::icmp6::{ECHO_REPLY, ECHO_REQUEST, Echo};
use miredo_server::wire::ipv6::Header;
use platform::{REPLY_MAX, Via};

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 1), 3544);
const RELAY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 30), 30);
/// The inner address of a NAT that is shared.
const INNER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nat {
    None,
    /// Lets in what comes from addresses and ports that were sent to.
    Restricted,
    /// The same for both clients: packets between them come from its outer address, or from its inner one.
    Shared {
        inner: bool,
    },
}

struct Side {
    client: Client,
    nat: Nat,
    mapped: SocketAddrV4,
    opened: HashSet<SocketAddrV4>,
}

pub(super) struct World {
    pub(super) relay: bool,
    pub(super) server_answers: bool,
    pub(super) echoes_through_server: usize,
    server: Server,
    sides: [Side; 2],
    sent: Vec<(usize, SocketAddrV4, Vec<u8>)>,
    /// What the relay has for the first client, once it has its bubble.
    relayed: Vec<Vec<u8>>,
    now: Instant,
}

impl World {
    pub(super) fn new(nats: [Nat; 2]) -> Self {
        let now = Instant::now();
        let settings = Settings {
            primary: *SERVER.ip(),
            secondary: None,
            own: Vec::new(),
            broadcasts: Vec::new(),
            policy: Policy {
                prefix: ServicePrefix::GLOBAL,
                mtu: 1280,
                allow_private: false,
                rate_limit: None,
                qualification: None,
            },
        };
        let mut number = 0;
        let sides = nats.map(|nat| {
            number += 1;
            let outside = match nat {
                Nat::Shared { .. } => Ipv4Addr::new(203, 0, 113, 10),
                _ => Ipv4Addr::new(203, 0, 113, number),
            };
            let mapped = SocketAddrV4::new(outside, 40_000 + u16::from(number));
            let address = TeredoAddress {
                prefix: ServicePrefix::GLOBAL,
                server: *SERVER.ip(),
                flags: 0,
                mapped,
            };
            Side {
                client: Client::new(address, Vec::new(), now),
                nat,
                mapped,
                // From its qualification.
                opened: HashSet::from([SERVER]),
            }
        });
        Self {
            relay: false,
            server_answers: true,
            echoes_through_server: 0,
            server: Server::new(settings),
            sides,
            sent: Vec::new(),
            relayed: Vec::new(),
            now,
        }
    }

    pub(super) fn address(&self, side: usize) -> Ipv6Addr {
        self.sides[side].client.address()
    }

    pub(super) fn parts(&self, side: usize) -> TeredoAddress {
        *self.sides[side].client.parts()
    }

    pub(super) fn events(&mut self, side: usize) -> Vec<Event> {
        std::iter::from_fn(|| self.sides[side].client.event()).collect()
    }

    pub(super) fn sent_to(&self, to: SocketAddrV4) -> usize {
        self.sent.iter().filter(|(_, sent, _)| *sent == to).count()
    }

    pub(super) fn solicitations(&self, side: usize) -> usize {
        let mine = self
            .sent
            .iter()
            .filter(|(from, to, _)| *from == side && *to == SERVER);
        mine.filter(|(_, _, bytes)| bytes.starts_with(&[0, 1]))
            .count()
    }

    pub(super) fn ping(&mut self, side: usize, to: Ipv6Addr, sequence: u16) {
        self.sides[side].client.ping(self.now, to, sequence);
    }

    pub(super) fn test(&mut self, side: usize, to: Ipv6Addr) {
        self.sides[side].client.test(self.now, to);
    }

    /// The NAT takes another port.
    pub(super) fn remap(&mut self, side: usize) {
        let mapped = &mut self.sides[side].mapped;
        mapped.set_port(mapped.port() + 1000);
    }

    /// An indirect bubble of `peer`, which does not exist, comes to a client.
    pub(super) fn bubble_through_server(&mut self, side: usize, peer: TeredoAddress) {
        let bytes = bubble(peer.to_ipv6(), self.address(side));
        self.at_server(peer.mapped, &bytes);
    }

    /// A bubble of the other client as the server forwards it.
    pub(super) fn indirect_bubble(&self, side: usize) -> Vec<u8> {
        let origin = OriginIndication(self.parts(1 - side).mapped);
        let mut bytes = vec![0; OriginIndication::LEN];
        let _rest = origin.emit(&mut bytes).unwrap();
        bytes.extend(bubble(self.address(1 - side), self.address(side)));
        bytes
    }

    /// An echo request of the other client.
    pub(super) fn direct_request(&self, side: usize) -> Vec<u8> {
        let request = Echo {
            kind: ECHO_REQUEST,
            identifier: 1,
            sequence: 2,
            data: b"the data",
        };
        echo(request, self.address(1 - side), self.address(side))
    }

    /// How many datagrams a client sends for one that comes from the server or from the other client.
    pub(super) fn answers(&mut self, side: usize, from_server: bool, bytes: &[u8]) -> usize {
        let from = match from_server {
            true => SERVER,
            false => self.parts(1 - side).mapped,
        };
        let client = &mut self.sides[side].client;
        client.receive(self.now, from, bytes);
        std::iter::from_fn(|| client.transmit()).count()
    }

    /// Somebody sends a client an echo reply in the name of `source`.
    pub(super) fn forge_reply(&mut self, side: usize, source: Ipv6Addr, from: SocketAddrV4) {
        let reply = Echo {
            kind: ECHO_REPLY,
            identifier: 0,
            sequence: 0,
            data: b"guessed!",
        };
        let bytes = echo(reply, source, self.address(side));
        self.sides[side].client.receive(self.now, from, &bytes);
    }

    /// Lets the clients do what they do for so long.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let sent = self.sent.len();
            for side in 0..2 {
                self.sides[side].client.advance(self.now);
                while let Some(datagram) = self.sides[side].client.transmit() {
                    self.sent.push((side, datagram.to, datagram.bytes.clone()));
                    self.out_of(side, datagram.to, &datagram.bytes);
                }
            }
            let wakes = self.sides.each_ref().map(|side| side.client.wake());
            let next = wakes[0].min(wakes[1]);
            if self.sent.len() > sent || next <= self.now {
                continue;
            }
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
        }
    }

    fn out_of(&mut self, side: usize, to: SocketAddrV4, bytes: &[u8]) {
        self.sides[side].opened.insert(to);
        let from = self.sides[side].mapped;
        if to == SERVER {
            return self.at_server(from, bytes);
        }
        if to == RELAY {
            return self.at_relay(from, bytes);
        }
        let other = 1 - side;
        let peer = &self.sides[other];
        let inside = SocketAddrV4::new(INNER, peer.mapped.port());
        match self.sides[side].nat {
            Nat::Shared { inner: true } if to == peer.mapped => {
                let from = SocketAddrV4::new(INNER, from.port());
                self.deliver(other, from, bytes);
            }
            // What answers a packet from the inner address comes from the mapped one.
            Nat::Shared { inner: true } if to == inside => self.deliver(other, from, bytes),
            _ if to == peer.mapped => self.deliver(other, from, bytes),
            _ => {}
        }
    }

    fn at_server(&mut self, from: SocketAddrV4, bytes: &[u8]) {
        if !self.server_answers {
            return;
        }
        let arrival = Arrival {
            bytes,
            truncated: false,
            from,
            via: Via::Primary,
            at: self.now,
        };
        let mut out = [0; REPLY_MAX];
        let Verdict::Send(reply) = self.server.handle(&arrival, &mut out) else {
            return;
        };
        let reply_bytes = out[..reply.len].to_vec();
        match reply.route {
            Route::Udp { to, .. } => {
                let datagram = Datagram::parse(&reply_bytes).unwrap();
                self.echoes_through_server += usize::from(Echo::parse(&datagram.packet).is_ok());
                let found = self.sides.iter().position(|side| side.mapped == to);
                if let Some(side) = found {
                    self.deliver(side, SERVER, &reply_bytes);
                }
            }
            Route::Native {
                source,
                destination,
                ..
            } if self.relay => {
                // The native host answers, and the relay asks the client for a bubble, through the server.
                let datagram = Datagram::parse(bytes).unwrap();
                let request = Echo::parse(&datagram.packet).unwrap();
                self.relayed
                    .push(echo(request.to_reply(), destination, source));
                let bubble = bubble("fe80::1".parse().unwrap(), source);
                self.at_server(RELAY, &bubble);
            }
            Route::Native { .. } => {}
        }
    }

    /// A bubble opens the way for what waits; an echo request is answered by the native host.
    fn at_relay(&mut self, from: SocketAddrV4, bytes: &[u8]) {
        let datagram = Datagram::parse(bytes).unwrap();
        let header = *datagram.packet.header();
        let answers = match Echo::parse(&datagram.packet) {
            Ok(request) => vec![echo(request.to_reply(), header.destination, header.source)],
            Err(_) => std::mem::take(&mut self.relayed),
        };
        let found = self.sides.iter().position(|side| side.mapped == from);
        for answer in answers {
            self.deliver(found.unwrap(), RELAY, &answer);
        }
    }

    fn deliver(&mut self, side: usize, from: SocketAddrV4, bytes: &[u8]) {
        let side = &mut self.sides[side];
        if side.nat == Nat::Restricted && !side.opened.contains(&from) {
            return;
        }
        side.client.receive(self.now, from, bytes);
    }
}

fn bubble(source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let mut bytes = vec![0; 40];
    let _rest = Header::bubble(source, destination)
        .emit(&mut bytes)
        .unwrap();
    bytes
}

fn echo(echo: Echo<'_>, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let mut bytes = vec![0; 48 + echo.data.len()];
    let _rest = echo.emit(&mut bytes, source, destination, 64).unwrap();
    bytes
}

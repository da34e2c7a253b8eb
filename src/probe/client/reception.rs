//! What becomes of packets that come (RFC 4380 section 5.2.3).

use std::net::SocketAddrV4;
use std::time::Instant;

use super::{Client, Event, HOP_LIMIT, PACKET_MAX, bubble};
use crate::probe::peer::{Peer, Permission};
use crate::probe::question::Nonce;
use crate::wire::address::TeredoAddress;
use crate::wire::icmp6::{ECHO_REQUEST, Echo};
use crate::wire::ipv6::Packet;
use crate::wire::scope::is_local;

impl Client {
    /// Through the server: a bubble asks for one to the origin, so that the way opens from this side.
    pub(super) fn receive_indirect(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        origin: SocketAddrV4,
    ) {
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
            Permission::Granted(_) => self.send_to(origin, bubble),
            Permission::Later(_) => {}
            Permission::Refused if peer.told => {}
            Permission::Refused => {
                peer.told = true;
                self.events.push_back(Event::Limit(source));
            }
        }
    }

    /// Not through the server: a Teredo peer proves by its address that it is there, a native one by what it repeats.
    pub(super) fn receive_direct(&mut self, now: Instant, packet: &Packet<'_>, from: SocketAddrV4) {
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
        if !matches!(peer.challenge(now), Permission::Granted(_)) {
            return;
        }
        let (nonce, _) = *peer.test.get_or_insert((fresh, 1));
        let packet = self.request(address, 1, &nonce);
        self.send_to(from, packet);
    }

    /// Answers echo requests, and takes replies to its own.
    pub(super) fn deliver(&mut self, now: Instant, packet: &Packet<'_>) {
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
}

/// Whether a packet is an echo reply with that nonce as its data.
fn repeats(packet: &Packet<'_>, nonce: &Nonce) -> bool {
    Echo::parse(packet).is_ok_and(|echo| echo.kind != ECHO_REQUEST && echo.data == nonce)
}

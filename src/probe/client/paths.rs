//! Paths to peers: opened, and used while they are open (RFC 4380 sections 5.2.4, 5.2.6 and 5.2.9).

use std::net::{Ipv6Addr, SocketAddrV4};
use std::time::Instant;

use super::{Client, Event, bubble};
use crate::probe::peer::{Key, Permission, TRIES};
use crate::wire::TEREDO_PORT;
use crate::wire::address::TeredoAddress;

impl Client {
    /// Sends a packet where the way is open, keeps it where it has to be opened first (RFC 4380 section 5.2.4). `wanted` ones
    /// are tried four times; others, once: who asked asks again.
    pub(super) fn send(&mut self, now: Instant, to: Ipv6Addr, packet: Vec<u8>, wanted: bool) {
        let Some(peer) = self.peers.entry((to, None), now) else {
            return;
        };
        if let Some(endpoint) = peer.open(now) {
            return self.send_to(endpoint, packet);
        }
        peer.keep(packet);
        peer.wanted |= wanted;
        // Where it was just sent a nonce, that is enough.
        let is_challenged = !wanted && peer.test.is_some();
        if peer.next.is_none() && !is_challenged {
            self.attempt(now, (to, None));
        }
    }

    /// Tries to open the way to a peer, once more or for the first time.
    pub(super) fn attempt(&mut self, now: Instant, key: Key) {
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
            false => Permission::Refused,
        };
        match leave {
            Permission::Granted(number) => {
                peer.try_again(now);
                let bubble = bubble(self.own, key.0);
                self.events.push_back(Event::Opening(key.0, number));
                self.send_to(teredo.mapped, bubble.clone());
                self.send_to(server, bubble);
            }
            Permission::Later(when) => peer.next = Some(when),
            Permission::Refused => {
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
}

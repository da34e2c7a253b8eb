//! Rules 2 and 4 to 7 of RFC 4380 section 5.3.1, and what its second half makes of the destination.

use std::net::{Ipv6Addr, SocketAddrV4};

use super::Server;
use crate::verdict::Reason;
use crate::wire::address::{ALL_ROUTERS, TeredoAddress};
use crate::wire::encapsulation::Datagram;
use crate::wire::icmp6::{self, ECHO_REQUEST, ROUTER_SOLICITATION};
use crate::wire::ipv6::{ICMP6, Packet};

/// What is to be done with an accepted packet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    /// A Router Solicitation.
    Advertise,
    /// An echo request to the server.
    AnswerEcho,
    /// A packet to this Teredo address.
    ForwardToTeredo(TeredoAddress),
    /// A packet of a Teredo client to a native address.
    ForwardToNative,
}

impl Task {
    fn is_to_forward(self) -> bool {
        matches!(self, Self::ForwardToTeredo(_) | Self::ForwardToNative)
    }
}

impl Server {
    /// Accepts the packet of a datagram that came from `from` and says what is to be done with it.
    pub(super) fn accept(
        &self,
        datagram: &Datagram<'_>,
        from: SocketAddrV4,
    ) -> Result<Task, Reason> {
        let packet = &datagram.packet;
        let header = packet.header();
        // Rule 2.
        if header.next_header != ICMP6 && !packet.is_bubble() {
            return Err(Reason::NextHeader);
        }
        let task = match TeredoAddress::parse(self.prefix, header.source) {
            // Rule 5.
            Some(source) if source.mapped == from => self.task_for_client(packet)?,
            Some(_) => return Err(Reason::MappedMismatch),
            None => self.task_for_others(packet)?,
        };
        // Only servers insert an origin indication, so this one or another has had it: an echo service sends back what it gets, from
        // another port where a NAT is in between, and from another address where it has several.
        if datagram.origin.is_some() && task.is_to_forward() {
            return Err(Reason::Forwarded);
        }
        Ok(task)
    }

    /// What a Teredo client may ask for, whose address was seen to be its own by rule 5.
    ///
    /// Only here can a packet to the server's link-local address be: rule 4 accepts nothing to it, and rule 6 only what goes to
    /// Teredo addresses. So who gets an echo reply of the server has its mapped address in its source.
    fn task_for_client(&self, packet: &Packet<'_>) -> Result<Task, Reason> {
        let destination = packet.header().destination;
        if let Some(client) = TeredoAddress::parse(self.prefix, destination) {
            return Ok(Task::ForwardToTeredo(client));
        }
        if destination == ALL_ROUTERS || destination == self.link_local {
            return self.task_for_server(packet, destination);
        }
        if !self.peers.is_global(destination) {
            return Err(Reason::Scope);
        }
        if self.peers.is_protected(destination) {
            return Err(Reason::NativeOwn);
        }
        Ok(Task::ForwardToNative)
    }

    /// What the server answers itself (RFC 4380 section 5.3.1).
    fn task_for_server(&self, packet: &Packet<'_>, destination: Ipv6Addr) -> Result<Task, Reason> {
        match icmp6::kind(packet) {
            Some(ROUTER_SOLICITATION) => Ok(Task::Advertise),
            Some(ECHO_REQUEST) if destination == self.link_local => Ok(Task::AnswerEcho),
            _ => Err(Reason::Unanswered),
        }
    }

    /// What nodes may ask for that have no Teredo address, or do not use it: clients that want one (rule 4), relays (rule 6).
    fn task_for_others(&self, packet: &Packet<'_>) -> Result<Task, Reason> {
        let header = packet.header();
        let is_link_local = header.source.is_unicast_link_local();
        if is_link_local
            && header.destination == ALL_ROUTERS
            && icmp6::kind(packet) == Some(ROUTER_SOLICITATION)
        {
            return Ok(Task::Advertise);
        }
        match TeredoAddress::parse(self.prefix, header.destination) {
            Some(client) if client.server == self.primary => {
                self.check_native_source(packet)?;
                Ok(Task::ForwardToTeredo(client))
            }
            _ if is_link_local => Err(Reason::LinkLocalSource),
            _ => Err(Reason::NotOurClient),
        }
    }
    /// Whom a client may hear of by rule 6: nodes with an address of global scope, and relays, whose bubbles may come from a
    /// link-local address, but not from this server's.
    fn check_native_source(&self, packet: &Packet<'_>) -> Result<(), Reason> {
        let source = packet.header().source;
        if source.is_unicast_link_local() {
            return if packet.is_bubble() && source != self.link_local {
                Ok(())
            } else {
                Err(Reason::LinkLocalSource)
            };
        }
        if self.peers.is_global(source) {
            Ok(())
        } else {
            Err(Reason::SourceScope)
        }
    }
}

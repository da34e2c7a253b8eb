//! What a Teredo server decides about one datagram (RFC 4380 section 5.3). No socket, clock, log or allocation.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `peers` | which addresses it may hear and talk to |
//! | `acceptance` | which IPv6 sources and destinations go together, and what is to be done then |
//! | `answer` | what it answers itself: solicitations, echo requests |
//! | `forward` | what it forwards: bubbles, small echoes |
//! | `qualification` | which solicitations must prove where they come from, and how the answers do |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Instant;

use platform::{REPLY_MAX, Via};
use serde::{Deserialize, Serialize};

use crate::limit::{Batch, Limits, RateLimit};
use crate::qualification::Qualification;
use crate::verdict::{Kind, Reason, Reply, Route, Verdict};
use crate::wire::address::{ServicePrefix, server_link_local};
use crate::wire::encapsulation::{Datagram, Malformed};
use crate::wire::icmp6::Invalid;
use crate::wire::ipv6;

mod acceptance;
mod answer;
mod forward;
mod peers;
mod qualification;

use acceptance::Task;
use peers::{Peers, Refusal};
use qualification::Clients;

/// What a server is told once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address that its clients' Teredo addresses embed.
    pub primary: Ipv4Addr,
    /// The address that solicitations with the cone bit are answered from (RFC 4380 section 2.17); without one, they are dropped.
    pub secondary: Option<Ipv4Addr>,
    /// Addresses of this host, IPv4 and IPv6; `primary` and `secondary` need not be among them.
    pub own: Vec<IpAddr>,
    /// Directed broadcast addresses of the subnets that this host is attached to (RFC 4380 section 5.2.4).
    pub broadcasts: Vec<Ipv4Addr>,
    /// What the administrator decided.
    pub policy: Policy,
}

/// What the administrator decides of a server's answers: the directives that [`Server::handle`] goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The service that the server belongs to. `Prefix`.
    pub prefix: ServicePrefix,
    /// MTU that it advertises, in bytes; 1280 unless there is a reason (RFC 4380 section 5.1.2). `InterfaceMTU`.
    pub mtu: u16,
    /// Peers may have loopback, private and link-local IPv4 addresses, unique local IPv6 addresses, and those of this host: for
    /// laboratories. `AllowPrivateAddresses`.
    pub allow_private: bool,
    /// What one receiver may be sent; `None` is no limit. `RateLimit`.
    pub rate_limit: Option<RateLimit>,
    /// How solicitations are authenticated, if at all. `SecureQualification`, `SecureQualificationKeys`.
    pub qualification: Option<Qualification>,
}

/// One datagram as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its payload.
    pub bytes: &'a [u8],
    /// There was more of it than `bytes`.
    pub truncated: bool,
    /// Where it came from.
    pub from: SocketAddrV4,
    /// The address it came to.
    pub via: Via,
    /// When. Only the limits ask; a time before an earlier datagram's is harmless.
    pub at: Instant,
}

/// A Teredo server. It keeps no state of its clients (RFC 4380 section 5) but what the limits count.
#[derive(Clone, Debug)]
pub struct Server {
    primary: Ipv4Addr,
    has_secondary: bool,
    prefix: ServicePrefix,
    mtu: u16,
    link_local: Ipv6Addr,
    peers: Peers,
    limits: Limits,
    /// Shared by the clones of a server: secrets are prepared once.
    clients: Option<Arc<Clients>>,
}

impl Server {
    /// A server with these settings, which are taken as they are: who reads the configuration has checked them.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let policy = settings.policy;
        let mut own = settings.own;
        own.push(settings.primary.into());
        own.extend(settings.secondary.map(IpAddr::from));
        Self {
            primary: settings.primary,
            has_secondary: settings.secondary.is_some(),
            prefix: policy.prefix,
            mtu: policy.mtu,
            link_local: server_link_local(settings.primary),
            peers: Peers::new(policy.allow_private, own, settings.broadcasts),
            limits: Limits::new(policy.rate_limit),
            clients: policy
                .qualification
                .as_ref()
                .map(Clients::new)
                .map(Arc::new),
        }
    }

    /// Decides about one datagram. The packet to send, if there is one, is at the start of `out`; the rest of `out` is unspecified.
    ///
    /// The rules run in the order of what they cost, not of their numbers: the IPv4 source needs no look at the bytes, and the
    /// checksums come late, so that a flood of nonsense costs little. The limits come last: they count what is really sent, and
    /// nonsense spends nobody's allowance. To write a packet that is then refused costs little beside sending it. Authentication
    /// alone comes after the limits, because it costs several times as much as all of the rest: they bound how much of it is done.
    pub fn handle(&mut self, arrival: &Arrival<'_>, out: &mut [u8; REPLY_MAX]) -> Verdict {
        match self.decide(arrival, out) {
            Ok(reply) => Verdict::Send(reply),
            Err(reason) => Verdict::Drop(reason),
        }
    }

    /// Takes note of a batch. Call this before [`Server::handle`] for any datagram of it: fair shares depend on it.
    pub fn arrived(&mut self, batch: Batch, at: Instant) {
        self.limits.arrived(batch, at);
    }

    fn decide(
        &mut self,
        arrival: &Arrival<'_>,
        out: &mut [u8; REPLY_MAX],
    ) -> Result<Reply, Reason> {
        if arrival.truncated {
            return Err(Reason::Truncated);
        }
        self.peers
            .check_source(arrival.from)
            .map_err(source_refused)?;
        let datagram = Datagram::parse(arrival.bytes).map_err(malformed)?;
        let task = self.accept(&datagram, arrival.from)?;
        let client = match (&self.clients, task) {
            (Some(clients), Task::Advertise) => clients.named(&datagram)?,
            _ => None,
        };
        let reply = match task {
            Task::Advertise => self.advertise(&datagram, client, arrival, out),
            Task::AnswerEcho => self.answer_echo(&datagram, arrival, out),
            Task::ForwardToTeredo(client) => {
                self.forward_to_teredo(&datagram, client, arrival.from, out)
            }
            Task::ForwardToNative => forward::forward_to_native(&datagram, out),
        }?;
        let source = *arrival.from.ip();
        self.limits.admit(source, &reply.route, arrival.at)?;
        if let Some(client) = client {
            client.verify(&datagram)?;
            let answer = out.get_mut(..reply.len).unwrap_or_default();
            client.sign(answer)?;
        }
        Ok(reply)
    }
}

/// The reply that was emitted at the start of the output buffer, of which `left` was left.
fn reply(kind: Kind, route: Route, left: Option<&mut [u8]>) -> Result<Reply, Reason> {
    // The lengths of all kinds are bounded below the buffer's, so there is always something left. Were there not, it would be
    // for an echo: nothing else varies with the input.
    let left = left.ok_or(Reason::EchoLength)?;
    Ok(Reply {
        kind,
        route,
        len: REPLY_MAX.saturating_sub(left.len()),
    })
}

/// Rule 1 (RFC 4380 section 5.3.1).
fn malformed(fault: Malformed) -> Reason {
    match fault {
        Malformed::Authentication => Reason::Authentication,
        Malformed::Origin => Reason::Origin,
        Malformed::Packet(ipv6::Malformed::Header) => Reason::Header,
        Malformed::Packet(ipv6::Malformed::Version) => Reason::Version,
        Malformed::Packet(ipv6::Malformed::PayloadLength) => Reason::PayloadLength,
    }
}

/// Rule 3 (RFC 4380 section 5.3.1).
fn source_refused(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::Port => Reason::SourcePort,
        Refusal::Address => Reason::SourceAddress,
        Refusal::Own => Reason::SourceLoop,
    }
}

/// ICMPv6 validity (RFC 4443, RFC 4861 section 6.1.1).
fn invalid(fault: Invalid) -> Reason {
    match fault {
        Invalid::Type => Reason::MessageType,
        Invalid::Short => Reason::MessageLength,
        Invalid::Code => Reason::MessageCode,
        Invalid::HopLimit => Reason::SolicitationHopLimit,
        Invalid::Options => Reason::SolicitationOptions,
        Invalid::Checksum => Reason::MessageChecksum,
    }
}

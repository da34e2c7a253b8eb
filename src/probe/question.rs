//! What is asked of a server (RFC 4380 section 5.2.1), and from where.
//!
//! The questions of a qualification, but not from one port: the service port asks the primary address only, with the cone bit
//! and without; another port asks both addresses, the secondary one last. Two things would spoil the answers otherwise:
//!
//! - A port that has asked the secondary address has opened a restricted NAT for it, and the answer to a cone
//!   solicitation would come in through any NAT. Some open for all ports of a host at once, so the cone question is answered
//!   or given up before anything goes to the secondary address.
//! - A NAT host that rejects that answer remembers it as a connection of its own, and the next packet from the same port to the
//!   secondary address leaves through another one, as if the NAT were symmetric.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use crate::qualification::Credentials;
use crate::wire::TEREDO_PORT;
use crate::wire::address::{ALL_ROUTERS, CONE, link_local};
use crate::wire::discovery::RouterSolicitation;
use crate::wire::encapsulation::Authentication;
use crate::wire::ipv6::HEADER_LEN;

/// A server as it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address that clients are configured with.
    pub primary: Ipv4Addr,
    /// The other one; none is asked of a server with one address.
    pub secondary: Option<Ipv4Addr>,
}

/// A local UDP port of the probe; each is one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// The service port (RFC 4380 section 2.10): its mapping is in the Teredo address. Never asks the secondary address.
    Service,
    /// Asks both addresses, so that their views of it can be compared.
    Other,
    /// Connected to the primary address, so that the system tells when that refuses; answers to it are let go.
    ToPrimary,
    /// The same for the secondary address.
    ToSecondary,
}

impl Port {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Service,
        Self::Other,
        Self::ToPrimary,
        Self::ToSecondary,
    ];
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// The primary address, from the service port.
    Primary,
    /// The primary address with the cone bit, from the service port: the secondary one has to answer.
    Cone,
    /// The primary address, from the other port.
    First,
    /// The secondary address, from the other port.
    Second,
}

impl Question {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 4] = [Self::Primary, Self::Cone, Self::First, Self::Second];

    /// The port that it is asked from.
    #[must_use]
    pub const fn port(self) -> Port {
        match self {
            Self::Primary | Self::Cone => Port::Service,
            Self::First | Self::Second => Port::Other,
        }
    }

    /// The server's address that it is asked at, if the server has that one and can answer.
    #[must_use]
    pub fn to(self, target: &Target) -> Option<SocketAddrV4> {
        let address = match self {
            Self::Primary | Self::First => Some(target.primary),
            // Without a secondary address there is nobody to answer.
            Self::Cone => target.secondary.map(|_| target.primary),
            Self::Second => target.secondary,
        };
        address.map(|address| SocketAddrV4::new(address, TEREDO_PORT))
    }

    /// Where the answer has to come from.
    #[must_use]
    pub fn answered_from(self, target: &Target) -> Option<SocketAddrV4> {
        match self {
            Self::Cone => Self::Second.to(target),
            _ => self.to(target),
        }
    }

    /// The connected port that hears a refusal of this question, where it is the question's task to send from it too.
    #[must_use]
    pub const fn hears_refusal(self) -> Option<Port> {
        match self {
            Self::Primary => Some(Port::ToPrimary),
            Self::Second => Some(Port::ToSecondary),
            Self::Cone | Self::First => None,
        }
    }

    /// The source of its solicitation, where the advertisement goes to.
    #[must_use]
    pub fn source(self) -> Ipv6Addr {
        let flags = match self {
            Self::Cone => CONE,
            _ => 0,
        };
        link_local(flags, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))
    }
}

/// What ties an answer to its question (RFC 4380 section 5.2.2).
pub type Nonce = [u8; 8];

/// Makes nonces that nobody can guess who has not seen them: the standard library's keyed hash of a counter.
#[derive(Clone, Debug, Default)]
pub struct Nonces {
    key: RandomState,
    count: u64,
}

impl Nonces {
    /// Another one.
    pub fn fresh(&mut self) -> Nonce {
        self.bits().to_be_bytes()
    }

    /// 64 bits, for other uses.
    pub fn bits(&mut self) -> u64 {
        self.count = self.count.wrapping_add(1);
        self.key.hash_one(self.count)
    }
}

/// Writes the client's Router Solicitation with authentication header and nonce, and with proof of who it is if it has credentials
/// (RFC 4380 sections 5.2.1 and 5.2.2).
#[must_use]
pub fn solicitation(nonce: Nonce, source: Ipv6Addr, credentials: Option<&Credentials>) -> Vec<u8> {
    let solicitation = RouterSolicitation {
        source,
        destination: ALL_ROUTERS,
    };
    let header = credentials.map(Credentials::header).unwrap_or_default();
    let header = Authentication { nonce, ..header };
    let proof = header.identifier.len().saturating_add(header.value.len());
    let mut bytes = vec![0; SOLICITATION_LEN.saturating_add(proof)];
    let rest = header
        .emit(&mut bytes)
        .and_then(|rest| solicitation.emit(rest));
    debug_assert_eq!(rest.map(|rest| rest.len()), Some(0));
    let signed = credentials.map(|credentials| credentials.sign(&mut bytes));
    debug_assert_ne!(signed, Some(None));
    bytes
}

/// Authentication header without proof, IPv6 header, Router Solicitation.
const SOLICITATION_LEN: usize = Authentication::MIN_LEN + HEADER_LEN + RouterSolicitation::MIN_LEN;

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From which port.
    pub port: Port,
    /// Where to.
    pub to: SocketAddrV4,
    /// Its payload.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.primary.fmt(f)
    }
}

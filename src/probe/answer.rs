//! What came back: an advertisement that a client takes, or why none would (RFC 4380 section 5.2.1).

use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV4};
use std::time::Duration;

use super::question::Nonce;
use crate::qualification::Credentials;
use crate::wire::discovery::RouterAdvertisement;
use crate::wire::encapsulation::{Authentication, Datagram, OriginIndication};
use crate::wire::icmp6::{self, Invalid, ROUTER_SOLICITATION};

/// An advertisement that a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who sent it.
    pub from: SocketAddrV4,
    /// Time since its question was sent.
    pub after: Duration,
    /// Where the server saw the question come from.
    pub mapped: SocketAddrV4,
    /// The prefix, 64 bits long.
    pub prefix: Ipv6Addr,
    /// The MTU in bytes; 1280 where none was advertised.
    pub mtu: u32,
    /// The server asks this client to obtain another key.
    pub key_retired: bool,
}

/// Why a datagram is no advertisement that a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is no Teredo packet.
    NotTeredo,
    /// It is the solicitation itself.
    Returned,
    /// An ICMPv6 message or IPv6 packet of another kind.
    NotAdvertisement,
    /// It has no authentication header, so no nonce.
    NoNonce,
    /// Its nonce is none that was sent.
    OtherNonce,
    /// It does not have the client's identifier and a right authentication value.
    Unproven,
    /// It has no origin indication.
    NoOrigin,
    /// Not valid by RFC 4861 section 6.1.2.
    Invalid(Invalid),
    /// Its source is not link-local (RFC 4861 section 6.1.2).
    Source(Ipv6Addr),
    /// Its destination is not the source of the solicitation.
    Destination(Ipv6Addr),
    /// It has not exactly one prefix information option, of 64 bits.
    Prefixes(usize),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTeredo => f.write_str("not a Teredo packet"),
            Self::Returned => f.write_str("the solicitation itself, as an echo service returns it"),
            Self::NotAdvertisement => f.write_str("not a Router Advertisement"),
            Self::NoNonce => f.write_str("an advertisement without an authentication header"),
            Self::OtherNonce => f.write_str("an advertisement with a nonce that was not sent"),
            Self::Unproven => f.write_str("an advertisement without proof that it has the key"),
            Self::NoOrigin => f.write_str("an advertisement without an origin indication"),
            Self::Invalid(why) => write!(f, "an advertisement that is not valid: {why}"),
            Self::Source(source) => {
                write!(f, "an advertisement from {source}, which is not link-local")
            }
            Self::Destination(to) => write!(f, "an advertisement to {to}, which did not ask"),
            Self::Prefixes(1) => f.write_str("an advertisement with a prefix that has not 64 bits"),
            Self::Prefixes(count) => {
                write!(
                    f,
                    "an advertisement with {count} prefix information options in place of one"
                )
            }
        }
    }
}

/// What a datagram says, before it is known which question it answers.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Its nonce, if it has one.
    pub nonce: Option<Nonce>,
    datagram: Option<Datagram<'a>>,
}

impl<'a> Reading<'a> {
    /// Reads a datagram.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        // Whatever is wrong behind the authentication header, its nonce tells whose answer it is.
        let (header, _) = Authentication::split(bytes).unwrap_or((None, bytes));
        Self {
            nonce: header.map(|header| header.nonce),
            datagram: Datagram::parse(bytes).ok(),
        }
    }

    /// The answer in it, to a question whose solicitation had `source`, and proof of who the client is if it has credentials.
    ///
    /// # Errors
    /// The first reason for which a client discards it.
    pub fn answer(
        &self,
        source: Ipv6Addr,
        from: SocketAddrV4,
        after: Duration,
        credentials: Option<&Credentials>,
    ) -> Result<Answer, Unfit> {
        let datagram = self.datagram.ok_or(Unfit::NotTeredo)?;
        let packet = &datagram.packet;
        let prefixes = RouterAdvertisement::prefixes(packet);
        let advertisement = match RouterAdvertisement::parse(packet) {
            Ok(advertisement) => advertisement,
            Err(Invalid::Type) if icmp6::kind(packet) == Some(ROUTER_SOLICITATION) => {
                return Err(Unfit::Returned);
            }
            Err(Invalid::Type) => return Err(Unfit::NotAdvertisement),
            Err(why) => return Err(prefixes.map_or(Unfit::Invalid(why), Unfit::Prefixes)),
        };
        let header = datagram.authentication.ok_or(Unfit::NoNonce)?;
        if credentials.is_some_and(|credentials| !proves(&datagram, credentials)) {
            return Err(Unfit::Unproven);
        }
        let OriginIndication(mapped) = datagram.origin.ok_or(Unfit::NoOrigin)?;
        if !advertisement.source.is_unicast_link_local() {
            return Err(Unfit::Source(advertisement.source));
        }
        if advertisement.destination != source {
            return Err(Unfit::Destination(advertisement.destination));
        }
        if let Some(count) = prefixes.filter(|count| *count != 1) {
            return Err(Unfit::Prefixes(count));
        }
        Ok(Answer {
            from,
            after,
            mapped,
            prefix: advertisement.prefix,
            mtu: advertisement.mtu,
            key_retired: credentials.is_some() && header.confirmation != 0,
        })
    }
}

/// Whether who sent this has the client's secret (RFC 4380 section 5.2.2).
fn proves(datagram: &Datagram<'_>, credentials: &Credentials) -> bool {
    let identifier = datagram.authentication.map(|header| header.identifier);
    identifier == Some(credentials.identifier()) && credentials.verify(datagram)
}

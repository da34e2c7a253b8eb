//! Why a server is of no use to clients, each fault with a name for machines and words for people.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use super::answer::Unfit;
use crate::wire::address::ServicePrefix;

/// Why no client can use a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The primary address does not answer.
    Silent,
    /// Nobody listens at the primary address.
    Refused,
    /// This host could not ask.
    Failed(String),
    /// What came from there is no advertisement that a client takes.
    Unfit(SocketAddrV4, Unfit),
    /// The answer did not come from where the question went: the second.
    AnsweredFrom(SocketAddrV4, SocketAddrV4),
    /// The secondary address does not answer.
    SecondarySilent(Ipv4Addr),
    /// Nobody listens at the secondary address.
    SecondaryRefused(Ipv4Addr),
    /// This host could not ask the secondary address.
    SecondaryFailed(String),
    /// The answer to a cone solicitation did not come from the second.
    ConeFrom(SocketAddrV4, SocketAddrV4),
    /// The prefix is not of the service.
    NotService(Ipv6Addr, ServicePrefix),
    /// The address asked is the secondary one of this server.
    IsSecondary(Ipv4Addr),
    /// The prefix holds an address that clients cannot reach.
    BehindNat(Ipv4Addr),
    /// The prefix is of another server.
    OtherServer(Ipv4Addr),
    /// The two addresses advertise different prefixes.
    Disagree(Ipv6Addr, Ipv6Addr),
    /// The mapped address is none that others could send to.
    Mapped(SocketAddrV4),
}

impl Fault {
    /// Its name for machines. Names stay.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Refused => "refused",
            Self::Failed(_) => "not-asked",
            Self::Unfit(..) => "invalid-answer",
            Self::AnsweredFrom(..) => "answer-from-elsewhere",
            Self::SecondarySilent(_) => "secondary-silent",
            Self::SecondaryRefused(_) => "secondary-refused",
            Self::SecondaryFailed(_) => "secondary-not-asked",
            Self::ConeFrom(..) => "cone-answer-from-elsewhere",
            Self::NotService(..) => "prefix-not-of-service",
            Self::IsSecondary(_) => "is-secondary",
            Self::BehindNat(_) => "server-behind-nat",
            Self::OtherServer(_) => "prefix-of-other-server",
            Self::Disagree(..) => "prefixes-disagree",
            Self::Mapped(_) => "mapped-address",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("no answer; is UDP port 3544 open, there and here?"),
            Self::Refused => f.write_str("refused; nobody listens on UDP port 3544"),
            Self::Failed(why) => f.write_str(why),
            Self::Unfit(from, why) => write!(f, "{from} sent {why}"),
            Self::AnsweredFrom(from, expected) => {
                write!(f, "{from} answered for {expected}")
            }
            Self::SecondarySilent(secondary) => {
                write!(f, "no answer from its secondary address {secondary}")
            }
            Self::SecondaryRefused(secondary) => {
                write!(f, "nobody listens at its secondary address {secondary}")
            }
            Self::SecondaryFailed(why) => write!(f, "its secondary address: {why}"),
            Self::ConeFrom(from, expected) => {
                write!(
                    f,
                    "{from} answered the cone solicitation, which {expected} has to"
                )
            }
            Self::NotService(prefix, service) => {
                write!(f, "its prefix {prefix}/64 is not inside {service}")
            }
            Self::IsSecondary(primary) => {
                write!(f, "it is the secondary address of {primary}; ask that one")
            }
            Self::BehindNat(server) => {
                write!(
                    f,
                    "its prefix holds {server}, which is not global: it is behind a NAT"
                )
            }
            Self::OtherServer(server) => {
                write!(f, "its prefix is that of another server, {server}")
            }
            Self::Disagree(one, other) => {
                write!(f, "it advertises two prefixes, {one}/64 and {other}/64")
            }
            Self::Mapped(mapped) => {
                write!(f, "it takes this host for {mapped}, which is not global")
            }
        }
    }
}

/// What is odd of a server that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// An MTU in bytes that IPv6 does not allow, or that most paths do not carry.
    Mtu(u32),
    /// It is reached without a NAT from an address that is not global.
    MappedPrivate(SocketAddrV4),
    /// It asks this client to obtain another key (RFC 4380 section 5.2.2).
    KeyRetired,
}

impl Warning {
    /// Its name for machines. Names stay.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Mtu(_) => "mtu",
            Self::MappedPrivate(_) => "mapped-address-private",
            Self::KeyRetired => "key-retired",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyRetired => f.write_str("the key is retired: obtain another one"),
            Self::Mtu(mtu) => write!(f, "MTU {mtu} is outside 1280 to 1472"),
            Self::MappedPrivate(mapped) => {
                write!(
                    f,
                    "mapped address {mapped} is not global: nobody outside reaches a client here"
                )
            }
        }
    }
}

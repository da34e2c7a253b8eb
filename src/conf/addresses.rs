//! The addresses of the server: what the directives say, checked against each other, and what comes of it.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::directive::Directive;
use super::host::Host;
use super::value::Fault;

/// What `ServerBindAddress2` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secondary<H> {
    /// The address after the primary one, as RFC 4380 clients expect.
    Next,
    /// This one.
    Host(H),
    /// One-address mode.
    None,
}

impl<H> Secondary<H> {
    fn and_then<T>(&self, map: impl FnOnce(&H) -> Option<T>) -> Option<Secondary<T>> {
        Some(match self {
            Self::Next => Secondary::Next,
            Self::Host(host) => Secondary::Host(map(host)?),
            Self::None => Secondary::None,
        })
    }
}

impl FromStr for Secondary<Host> {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text.eq_ignore_ascii_case("none") {
            true => Ok(Self::None),
            false => text.parse().map(Self::Host),
        }
    }
}

/// What `PublicAddress` or `PublicAddress2` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Public<H> {
    /// Nothing: clients know the address that is bound, or, as secondary one, that after `PublicAddress`.
    Default,
    /// This one.
    Host(H),
}

impl<H> Public<H> {
    fn and_then<T>(&self, map: impl FnOnce(&H) -> Option<T>) -> Option<Public<T>> {
        Some(match self {
            Self::Default => Public::Default,
            Self::Host(host) => Public::Host(map(host)?),
        })
    }
}

impl FromStr for Public<Host> {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text.eq_ignore_ascii_case("none") {
            true => Err(Fault::new("none is no public address")
                .help("leave the line out; with one address, write ServerBindAddress2 none")),
            false => text.parse().map(Self::Host),
        }
    }
}

/// An address of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// What its sockets are bound to: an address of this host.
    pub bound: Ipv4Addr,
    /// What clients know it as. Behind a 1:1 NAT it is another one.
    pub public: Ipv4Addr,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bound, public } = self;
        match bound == public {
            true => write!(f, "{public}"),
            false => write!(f, "{public} (bound to {bound})"),
        }
    }
}

/// The addresses of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    /// The address that clients send solicitations to first, and that the Teredo addresses of this server embed.
    pub primary: Address,
    /// The other one; none in one-address mode.
    pub secondary: Option<Address>,
}

/// What the four directives of addresses say. `None` is what is not known: wrong as it is written, or a name without an address.
#[derive(Clone, Debug)]
pub(super) struct Written<H> {
    pub(super) primary: Option<H>,
    pub(super) secondary: Option<Secondary<H>>,
    pub(super) public: Option<Public<H>>,
    pub(super) public2: Option<Public<H>>,
}

/// Nothing is known.
impl<H> Default for Written<H> {
    fn default() -> Self {
        Self {
            primary: None,
            secondary: None,
            public: None,
            public2: None,
        }
    }
}

impl<H> Written<H> {
    /// The same, with what `map` makes of each host, which it is told the directive of.
    pub(super) fn and_then<T>(
        &self,
        mut map: impl FnMut(Directive, &H) -> Option<T>,
    ) -> Written<T> {
        Written {
            primary: (self.primary.as_ref())
                .and_then(|host| map(Directive::ServerBindAddress, host)),
            secondary: (self.secondary.as_ref()).and_then(|secondary| {
                secondary.and_then(|host| map(Directive::ServerBindAddress2, host))
            }),
            public: (self.public.as_ref())
                .and_then(|public| public.and_then(|host| map(Directive::PublicAddress, host))),
            public2: (self.public2.as_ref())
                .and_then(|public| public.and_then(|host| map(Directive::PublicAddress2, host))),
        }
    }

    /// The host that a directive names.
    pub(super) fn host(&self, directive: Directive) -> Option<&H> {
        match (directive, &self.secondary, &self.public, &self.public2) {
            (Directive::ServerBindAddress, ..) => self.primary.as_ref(),
            (Directive::ServerBindAddress2, Some(Secondary::Host(host)), ..)
            | (Directive::PublicAddress, _, Some(Public::Host(host)), _)
            | (Directive::PublicAddress2, .., Some(Public::Host(host))) => Some(host),
            _ => None,
        }
    }
}

impl Written<Ipv4Addr> {
    /// What comes of them, if all are known.
    pub(super) fn addresses(&self) -> Option<Addresses> {
        let (bound, public) = (self.primary?, self.public?);
        let secondary = match self.secondary? {
            Secondary::Next => Some(next(bound)),
            Secondary::Host(address) => Some(address),
            Secondary::None => None,
        };
        let public2 = self.public2?;
        let public_of = |bound| match (public2, public) {
            (Public::Host(public2), _) => public2,
            (Public::Default, Public::Host(public)) => next(public),
            (Public::Default, Public::Default) => bound,
        };
        Some(Addresses {
            primary: Address {
                bound,
                public: match public {
                    Public::Host(public) => public,
                    Public::Default => bound,
                },
            },
            secondary: secondary.map(|bound| Address {
                bound,
                public: public_of(bound),
            }),
        })
    }

    /// The faults of addresses, alone or together, each with its directive.
    pub(super) fn faults(&self, allow_private: bool) -> Vec<(Directive, Fault)> {
        let mut faults = self.faults_of_bound(allow_private);
        faults.extend(self.faults_of_public(allow_private));
        faults
    }

    /// Clients reach the addresses that are bound, unless others are public.
    fn faults_of_bound(&self, allow_private: bool) -> Vec<(Directive, Fault)> {
        let allow = allow_private || self.public != Some(Public::Default);
        let allow2 = allow || self.public2 != Some(Public::Default);
        let mut faults = Vec::new();
        if let Some(primary) = self.primary {
            faults.extend(unusable(Directive::ServerBindAddress, primary, allow));
        }
        match (self.primary, self.secondary) {
            (Some(primary), Some(Secondary::Next)) if faults.is_empty() => {
                faults.extend(no_next(Directive::ServerBindAddress, primary, allow2));
            }
            (primary, Some(Secondary::Host(secondary))) if primary == Some(secondary) => {
                let fault = Fault::new(format!("{secondary} is the primary address"))
                    .help("name another address, or none for one-address mode");
                faults.push((Directive::ServerBindAddress2, fault));
            }
            (_, Some(Secondary::Host(secondary))) => {
                faults.extend(unusable(Directive::ServerBindAddress2, secondary, allow2));
            }
            _ => {}
        }
        faults
    }

    fn faults_of_public(&self, allow_private: bool) -> Vec<(Directive, Fault)> {
        let mut faults = Vec::new();
        let primary = match self.public {
            Some(Public::Host(public)) => {
                faults.extend(unusable(Directive::PublicAddress, public, allow_private));
                Some(public)
            }
            Some(Public::Default) => self.primary,
            None => None,
        };
        match (self.public, self.public2, self.secondary) {
            (_, Some(Public::Host(_)), Some(Secondary::None)) => {
                let fault = Fault::new("no address is bound for it: ServerBindAddress2 is none")
                    .help("leave the line out, or name an address of this host with ServerBindAddress2");
                faults.push((Directive::PublicAddress2, fault));
            }
            (_, Some(Public::Host(public2)), _) if primary == Some(public2) => {
                let fault = Fault::new(format!("{public2} is the primary address"))
                    .help("name another address, or use one with ServerBindAddress2 none");
                faults.push((Directive::PublicAddress2, fault));
            }
            (_, Some(Public::Host(public2)), _) => {
                faults.extend(unusable(Directive::PublicAddress2, public2, allow_private));
            }
            (_, _, Some(Secondary::None)) => {}
            (Some(Public::Host(public)), Some(Public::Default), _) if faults.is_empty() => {
                faults.extend(no_next(Directive::PublicAddress, public, allow_private));
            }
            _ => {}
        }
        faults
    }
}

/// The address after another one; 0.0.0.0, which no check passes, after the last.
fn next(address: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(address.to_bits().wrapping_add(1))
}

/// Why the address after that of a directive cannot be the secondary one, if it cannot.
fn no_next(
    directive: Directive,
    address: Ipv4Addr,
    allow_private: bool,
) -> Option<(Directive, Fault)> {
    let (_, fault) = unusable(directive, next(address), allow_private)?;
    let message = fault.message;
    let fault = Fault::new(format!("no secondary address after {address}: {message}")).help(
        match directive {
            Directive::PublicAddress => "name the secondary address with PublicAddress2",
            _ => "name the secondary address with ServerBindAddress2, or none",
        },
    );
    Some((directive, fault))
}

/// Why clients cannot send to the address of a directive, if they cannot: it is not global unicast (RFC 4380 section 5.2.4)
/// without 240/4, nor one of a laboratory's where those are allowed.
fn unusable(
    directive: Directive,
    address: Ipv4Addr,
    allow_private: bool,
) -> Option<(Directive, Fault)> {
    let never = match address.octets() {
        [0, ..] => Some("it means this host"),
        [192, 88, 99, _] => Some("it belongs to 6to4 relays"),
        [224..=239, ..] => Some("it is multicast"),
        [240..=255, ..] => Some("it is reserved or broadcast"),
        _ => None,
    };
    if let Some(what) = never {
        let fault =
            Fault::new(format!("{address} is no server address: {what}")).help(match directive {
                Directive::PublicAddress | Directive::PublicAddress2 => {
                    "name the address that clients send to"
                }
                _ => "name an address of this host that clients can reach",
            });
        return Some((directive, fault));
    }
    let local = address.is_private() || address.is_loopback() || address.is_link_local();
    if !local || allow_private {
        return None;
    }
    let behind_nat = match directive {
        Directive::ServerBindAddress => {
            "behind a 1:1 NAT, name the global one with PublicAddress; "
        }
        Directive::ServerBindAddress2 => {
            "behind a 1:1 NAT, name the global one with PublicAddress2; "
        }
        _ => "",
    };
    let fault = Fault::new(format!("{address} is not a global address")).help(format!(
        "Teredo clients reach global addresses only; {behind_nat}in a laboratory, set AllowPrivateAddresses yes"
    ));
    Some((directive, fault))
}

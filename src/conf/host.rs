//! The server's own IPv4 addresses: as written, looked up, and checked against each other.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::directive::Directive;
use super::value::{Fault, clip};

/// An IPv4 address, or a name that has one.
#[derive(Clone, PartialEq, Eq)]
pub enum Host {
    /// An address in dotted decimal form.
    Address(Ipv4Addr),
    /// A host name, looked up when the server starts or reloads.
    Name(String),
}

impl Host {
    /// The first of its IPv4 addresses; waits for getaddrinfo(3).
    ///
    /// # Errors
    /// The name is unknown or has no IPv4 address; the message names it.
    pub fn resolve(&self) -> Result<Ipv4Addr, Fault> {
        let addresses = self.addresses()?;
        let none = || Fault::new(format!("{self} has no address"));
        addresses.first().copied().ok_or_else(none)
    }

    /// The IPv4 addresses, at least one; waits for getaddrinfo(3).
    ///
    /// # Errors
    /// The name is unknown or has no IPv4 address; the message names it.
    pub(super) fn addresses(&self) -> Result<Vec<Ipv4Addr>, Fault> {
        let name = match self {
            Self::Address(address) => return Ok(vec![*address]),
            Self::Name(name) => name,
        };
        let found = (name.as_str(), 0).to_socket_addrs().map_err(|error| {
            let error = error.to_string();
            // How the standard library begins.
            let why = error.trim_start_matches("failed to lookup address information: ");
            Fault::new(format!("no address is known for {name}: {why}"))
                .help("write the address, or see hosts(5) and resolv.conf(5)")
        })?;
        let mut addresses = Vec::new();
        let mut others = 0_usize;
        for address in found {
            match address.ip() {
                IpAddr::V4(address) if addresses.contains(&address) => {}
                IpAddr::V4(address) => addresses.push(address),
                IpAddr::V6(_) => others = others.saturating_add(1),
            }
        }
        match (addresses.is_empty(), others) {
            (false, _) => Ok(addresses),
            (true, 0) => Err(Fault::new(format!("{name} has no address"))),
            (true, _) => Err(Fault::new(format!("{name} has IPv6 addresses only"))
                .help("a Teredo server listens on IPv4 addresses")),
        }
    }
}

impl FromStr for Host {
    type Err = Fault;

    /// Reads an address or a host name, without looking it up.
    fn from_str(text: &str) -> Result<Self, Fault> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(Fault::new(format!("{text} is an IPv6 address"))
                .help("a Teredo server listens on IPv4 addresses"));
        }
        if let Some((address, length)) = text.split_once('/')
            && address.parse::<Ipv4Addr>().is_ok()
        {
            return Err(Fault::new(format!(
                "{address}/{} has the prefix length of a network",
                clip(length)
            ))
            .help(format!("leave it out: {address}")));
        }
        if text.parse::<SocketAddr>().is_ok() {
            return Err(Fault::new(format!("{text} holds a port"))
                .help("leave the port out; a Teredo server has port 3544 (RFC 4380 section 2.7)"));
        }
        if !is_host_name(text) {
            return Err(Fault::new(format!(
                "{} is neither an IPv4 address nor a host name",
                clip(text)
            ))
            .help("write four decimal numbers, such as 192.0.2.1, or a name, without quotes"));
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

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
    pub(super) fn try_map<T, E>(
        &self,
        map: impl FnOnce(&H) -> Result<T, E>,
    ) -> Result<Secondary<T>, E> {
        Ok(match self {
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

/// The addresses to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    /// The address that clients send solicitations to first, and that the Teredo addresses of this server embed.
    pub primary: Ipv4Addr,
    /// The other one; none in one-address mode.
    pub secondary: Option<Ipv4Addr>,
}

/// The faults of addresses, alone or together, each with its directive. An address that is not known yet is `None`.
pub(super) fn faults(
    primary: Option<Ipv4Addr>,
    secondary: Option<Secondary<Ipv4Addr>>,
    allow_private: bool,
) -> Vec<(Directive, Fault)> {
    let mut faults = Vec::new();
    let mut blame = |directive, result: Result<(), Fault>| {
        let fault = result.err();
        faults.extend(fault.map(|fault| (directive, fault)));
    };
    if let Some(primary) = primary {
        blame(
            Directive::ServerBindAddress,
            unicast(primary, allow_private),
        );
    }
    match (primary, secondary) {
        (Some(primary), Some(Secondary::Next)) if unicast(primary, allow_private).is_ok() => {
            let result = unicast(next(primary), allow_private).map_err(|fault| {
                Fault::new(format!(
                    "no secondary address after {primary}: {}",
                    fault.message
                ))
                .help("name the secondary address with ServerBindAddress2, or none")
            });
            blame(Directive::ServerBindAddress, result);
        }
        (primary, Some(Secondary::Host(secondary))) if primary == Some(secondary) => {
            let fault = Fault::new(format!("{secondary} is the primary address"))
                .help("name another address, or none for one-address mode");
            blame(Directive::ServerBindAddress2, Err(fault));
        }
        (_, Some(Secondary::Host(secondary))) => {
            blame(
                Directive::ServerBindAddress2,
                unicast(secondary, allow_private),
            );
        }
        _ => {}
    }
    faults
}

/// The address after another one; 0.0.0.0, which no check passes, after the last.
pub(super) fn next(address: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(address.to_bits().wrapping_add(1))
}

/// Checks that clients can send to an address: global unicast (RFC 4380 section 5.2.4) without
/// 240/4, or one of a laboratory's where those are allowed.
fn unicast(address: Ipv4Addr, allow_private: bool) -> Result<(), Fault> {
    let never = match address.octets() {
        [0, ..] => Some("it means this host"),
        [192, 88, 99, _] => Some("it belongs to 6to4 relays"),
        [224..=239, ..] => Some("it is multicast"),
        [240..=255, ..] => Some("it is reserved or broadcast"),
        _ => None,
    };
    if let Some(what) = never {
        return Err(
            Fault::new(format!("{address} is no server address: {what}"))
                .help("name an address of this host that clients can reach"),
        );
    }
    let local = address.is_private() || address.is_loopback() || address.is_link_local();
    if local && !allow_private {
        return Err(Fault::new(format!("{address} is not a global address"))
            .help("Teredo clients reach global addresses only; in a laboratory, set AllowPrivateAddresses yes"));
    }
    Ok(())
}

/// Whether a text is a host name (RFC 1123 section 2.1); `_` is allowed, as resolvers allow it. What getaddrinfo(3) reads as a
/// short form of an address is no name: to it, `192.0.2` is 192.0.0.2.
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    let numeric = match last.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        None => last.bytes().all(|digit| digit.is_ascii_digit()),
    };
    name.len() <= 253 && name.split('.').all(label) && !numeric
}

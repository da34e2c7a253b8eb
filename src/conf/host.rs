//! An IPv4 address, or a name that stands for one.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

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
        if let Some((first, _)) = text.split_once(',')
            && first.parse::<Ipv4Addr>().is_ok()
        {
            return Err(
                Fault::new(format!("{} has a comma", clip(text))).help(format!(
                    "write {first} alone; the secondary address has a line of its own"
                )),
            );
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

//! Teredo addresses (RFC 4380 section 4).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};

use super::TEREDO_PORT;

/// The cone bit in the flags of a Teredo address (RFC 4380 section 4; no longer set by clients since RFC 5991 section 3).
pub const CONE: u16 = 0x8000;

/// All routers of the link, where solicitations go (RFC 4291 section 2.7.1).
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// The first 32 bits of every Teredo address of one service (RFC 4380 section 2.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServicePrefix(u32);

impl ServicePrefix {
    /// `2001::/32`, the prefix of the global service (RFC 4380 section 2.6).
    pub const GLOBAL: Self = Self(0x2001_0000);

    /// A prefix from its 32 bits. Whether they are global unicast is for the caller to say.
    #[must_use]
    pub const fn new(bits: u32) -> Self {
        Self(bits)
    }

    /// The prefix that `address` is under: its first 32 bits.
    #[must_use]
    pub const fn of(address: Ipv6Addr) -> Self {
        let [first, second, ..] = address.segments();
        Self(join(first, second))
    }

    /// The 32 bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The prefix, 64 bits long, that the clients of `server` share (RFC 4380 section 2.12).
    #[must_use]
    pub const fn client_prefix(self, server: Ipv4Addr) -> Ipv6Addr {
        let ([p0, p1], [s0, s1]) = (split(self.0), split(server.to_bits()));
        Ipv6Addr::new(p0, p1, s0, s1, 0, 0, 0, 0)
    }
}

impl fmt::Display for ServicePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/32", self.client_prefix(Ipv4Addr::UNSPECIFIED))
    }
}

impl fmt::Debug for ServicePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Default for ServicePrefix {
    fn default() -> Self {
        Self::GLOBAL
    }
}

/// A Teredo address taken apart, nothing in it inverted (RFC 4380 sections 2.14 and 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TeredoAddress {
    /// The service.
    pub prefix: ServicePrefix,
    /// The client's server, bits 32 to 63.
    pub server: Ipv4Addr,
    /// Bits 64 to 79: the cone bit, and random bits since RFC 5991.
    pub flags: u16,
    /// The client's address and port as its server saw them.
    pub mapped: SocketAddrV4,
}

impl TeredoAddress {
    /// Takes `address` apart if it is under `prefix`. Says nothing about the IPv4 addresses inside.
    #[must_use]
    pub fn parse(prefix: ServicePrefix, address: Ipv6Addr) -> Option<Self> {
        let [p0, p1, s0, s1, flags, port, a0, a1] = address.segments();
        (join(p0, p1) == prefix.0).then(|| Self {
            prefix,
            server: Ipv4Addr::from_bits(join(s0, s1)),
            flags,
            mapped: SocketAddrV4::new(Ipv4Addr::from_bits(!join(a0, a1)), !port),
        })
    }

    /// Puts the address together.
    #[must_use]
    pub fn to_ipv6(self) -> Ipv6Addr {
        let ([p0, p1], [s0, s1]) = (split(self.prefix.0), split(self.server.to_bits()));
        let [port, a0, a1] = inverted(self.mapped);
        Ipv6Addr::new(p0, p1, s0, s1, self.flags, port, a0, a1)
    }
}

impl From<TeredoAddress> for Ipv6Addr {
    fn from(address: TeredoAddress) -> Self {
        address.to_ipv6()
    }
}

/// A link-local address with the interface identifier of a Teredo address (RFC 4380 section 4).
#[must_use]
pub fn link_local(flags: u16, mapped: SocketAddrV4) -> Ipv6Addr {
    let [port, a0, a1] = inverted(mapped);
    Ipv6Addr::new(0xfe80, 0, 0, 0, flags, port, a0, a1)
}

/// The link-local address of the server at `primary`, cone bit set (RFC 4380 section 5.3.2).
#[must_use]
pub fn server_link_local(primary: Ipv4Addr) -> Ipv6Addr {
    link_local(CONE, SocketAddrV4::new(primary, TEREDO_PORT))
}

/// Says whether the interface identifier of a Teredo or link-local address has the cone bit set (RFC 4380 section 4).
#[must_use]
pub fn has_cone_bit(address: Ipv6Addr) -> bool {
    let [_, _, _, _, flags, ..] = address.segments();
    flags & CONE != 0
}

/// Port and address with every bit inverted, so that no NAT rewrites them (RFC 4380 section 4).
fn inverted(mapped: SocketAddrV4) -> [u16; 3] {
    let [a0, a1] = split(!mapped.ip().to_bits());
    [!mapped.port(), a0, a1]
}

const fn join(high: u16, low: u16) -> u32 {
    (high as u32) << 16 | low as u32
}

const fn split(bits: u32) -> [u16; 2] {
    [(bits >> 16) as u16, bits as u16]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address of RFC 4380 section 4 put to numbers: server 192.0.2.1, client 203.0.113.9:40000, cone.
    #[test]
    fn takes_apart_what_it_puts_together() {
        let ipv6: Ipv6Addr = "2001:0:c000:201:8000:63bf:34ff:8ef6".parse().unwrap();
        let parts = TeredoAddress::parse(ServicePrefix::GLOBAL, ipv6).unwrap();
        assert_eq!(parts.server, Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(parts.flags, CONE);
        assert_eq!(parts.mapped, "203.0.113.9:40000".parse().unwrap());
        assert_eq!(parts.to_ipv6(), ipv6);
        assert_eq!(
            TeredoAddress::parse(ServicePrefix::new(0x3ffe_831f), ipv6),
            None
        );
    }

    #[test]
    fn server_is_known_by_its_link_local_address() {
        let expected: Ipv6Addr = "fe80::8000:f227:3fff:fdfe".parse().unwrap();
        assert_eq!(server_link_local(Ipv4Addr::new(192, 0, 2, 1)), expected);
        assert!(has_cone_bit(expected));
        assert!(!has_cone_bit("fe80::7fff:ffff:ffff:ffff".parse().unwrap()));
    }

    #[test]
    fn clients_share_a_prefix() {
        let prefix = ServicePrefix::of("2001:0:ffff::1".parse().unwrap());
        assert_eq!(prefix, ServicePrefix::GLOBAL);
        let expected: Ipv6Addr = "2001:0:c000:201::".parse().unwrap();
        assert_eq!(prefix.client_prefix(Ipv4Addr::new(192, 0, 2, 1)), expected);
    }
}

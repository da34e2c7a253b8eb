//! The topology: two sites behind NATs, a server, a relay and a native IPv6 host.
//!
//! ```text
//!      10.0.0.2        10.1.0.2                     2001:db8:3::1 and ::2
//!     site 0 host     site 1 host                          native
//!          |               |                                  |
//!         NAT             NAT                                 |
//!    198.51.100.1    203.0.113.1                              |
//!          |               |                                  |
//!   =======+===============+========= router =================+======
//!                  |                       |
//!         192.0.2.1 and .2           198.51.100.129
//!          2001:db8:1::1             2001:db8:2::1
//!              server                    relay
//!                                 (2001::/32 goes there)
//! ```
//!
//! The router has the last address of each IPv4 network and ::ff of each IPv6 network.
//!
//! The server may be behind a 1:1 NAT, as in a cloud:
//!
//! ```text
//!                  |
//!         192.0.2.1 and .2
//!          2001:db8:4::1
//!               border
//!                  |
//!         10.9.0.4 and .5
//!          2001:db8:1::1
//!              server
//! ```

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use crate::lab::{Client, Namespace, Server, Subject, link};

pub(crate) const PRIMARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const SECONDARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(crate) const RELAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 129);
pub(crate) const NATIVE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 1);
pub(crate) const NATIVE_TOO: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 2);

/// The UDP port of a Teredo client behind its NAT, and what the NAT makes of it: never the same,
/// so that an address can only be right if the server said what it saw.
pub(crate) const INSIDE_PORT: u16 = 4500;
pub(crate) const OUTSIDE_PORT: u16 = 40001;

/// Kinds of NAT (RFC 4380 section 3.1), as near as nftables comes. Its filter always looks at the
/// port too, so the restricted one is port-restricted.
#[derive(Clone, Copy)]
pub(crate) enum Nat {
    /// One mapping for all peers, and any peer may use it: masquerade to a fixed port, and
    /// that port forwarded to the host inside.
    Cone,
    /// One mapping for all peers; only addresses and ports that were sent to may answer.
    Restricted,
    /// Restricted, and another port towards the server's secondary address.
    Symmetric,
}

/// The addresses of a server behind a 1:1 NAT.
pub(crate) const BOUND: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 4);
pub(crate) const BOUND_TOO: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 5);

pub(crate) struct Internet {
    pub(crate) sites: [Site; 2],
    pub(crate) relay: Namespace,
    pub(crate) native: Namespace,
    pub(crate) server: Namespace,
    border: Option<Namespace>,
    _router: Namespace,
}

impl Internet {
    pub(crate) fn new(nats: [Nat; 2]) -> Self {
        let router = Namespace::new("router");
        let server = attach(
            &router,
            "server",
            &["192.0.2.1/24", "192.0.2.2/24", "2001:db8:1::1/64"],
            &["192.0.2.254/24", "2001:db8:1::ff/64"],
        );
        server.nft(&watch_rules(SECONDARY));
        Self::around(router, server, None, nats)
    }

    /// With the server behind a 1:1 NAT.
    pub(crate) fn with_cloud(nats: [Nat; 2]) -> Self {
        let router = Namespace::new("router");
        let border = attach(
            &router,
            "border",
            &["192.0.2.1/24", "192.0.2.2/24", "2001:db8:4::1/64"],
            &["192.0.2.254/24", "2001:db8:4::ff/64"],
        );
        border.forward();
        border.nft(&one_to_one_rules());
        let server = attach(
            &border,
            "server",
            &["10.9.0.4/24", "10.9.0.5/24", "2001:db8:1::1/64"],
            &["10.9.0.1/24", "2001:db8:1::ff/64"],
        );
        server.nft(&watch_rules(BOUND_TOO));
        router.route("2001:db8:1::/64", "2001:db8:4::1");
        Self::around(router, server, Some(border), nats)
    }

    fn around(
        router: Namespace,
        server: Namespace,
        border: Option<Namespace>,
        nats: [Nat; 2],
    ) -> Self {
        router.forward();
        let relay = attach(
            &router,
            "relay",
            &["198.51.100.129/25", "2001:db8:2::1/64"],
            &["198.51.100.254/25", "2001:db8:2::ff/64"],
        );
        relay.forward();
        router.route("2001::/32", "2001:db8:2::1");
        let native = attach(
            &router,
            "native",
            &["2001:db8:3::1/64", "2001:db8:3::2/64"],
            &["2001:db8:3::ff/64"],
        );

        let nat = attach(
            &router,
            "nat0",
            &["198.51.100.1/25"],
            &["198.51.100.126/25"],
        );
        let site0 = Site::behind(nat, nats[0], Ipv4Addr::new(198, 51, 100, 1), 0);
        let nat = attach(&router, "nat1", &["203.0.113.1/24"], &["203.0.113.254/24"]);
        let site1 = Site::behind(nat, nats[1], Ipv4Addr::new(203, 0, 113, 1), 1);
        let sites = [site0, site1];
        Self {
            sites,
            relay,
            native,
            server,
            border,
            _router: router,
        }
    }

    /// Starts the server under test on both of its addresses.
    pub(crate) fn start_server(&self) -> Server {
        self.start_server_with("")
    }

    /// The same with further lines in its configuration.
    pub(crate) fn start_server_with(&self, lines: &str) -> Server {
        let addresses = match self.border {
            Some(_) => format!("ServerBindAddress {BOUND}\nPublicAddress {PRIMARY}\n"),
            None => format!("ServerBindAddress {PRIMARY}\n"),
        };
        let sockets = match lines.contains("ServerBindAddress2 none") {
            true => 1,
            false => 2,
        };
        Subject::chosen().start(&self.server, &format!("{addresses}{lines}"), sockets)
    }

    /// Starts a client at each site.
    pub(crate) fn start_clients(&self) -> [Client<'_>; 2] {
        self.sites.each_ref().map(Site::start_client)
    }

    /// How many packets have passed the server's interfaces until now, by kind: [`watch_rules`].
    pub(crate) fn watch(&self) -> BTreeMap<String, u64> {
        self.server.counters("inet watch")
    }
}

/// A NAT and the one host behind it.
pub(crate) struct Site {
    pub(crate) host: Namespace,
    /// The address and port outside of the host's [`INSIDE_PORT`].
    pub(crate) mapped: SocketAddrV4,
    nat: Namespace,
}

impl Site {
    fn behind(nat: Namespace, kind: Nat, outside: Ipv4Addr, number: u8) -> Self {
        let host = Namespace::new(&format!("host{number}"));
        link(&host, "lan", &nat, "lan");
        host.address("lan", &format!("10.{number}.0.2/24"));
        host.route("default", &format!("10.{number}.0.1"));
        nat.address("lan", &format!("10.{number}.0.1/24"));
        nat.forward();
        nat.nft(&nat_rules(kind, number));
        let mapped = SocketAddrV4::new(outside, OUTSIDE_PORT);
        Self { host, mapped, nat }
    }

    /// Starts a client at the port that the NAT maps.
    pub(crate) fn start_client(&self) -> Client<'_> {
        Client::start(&self.host, PRIMARY, INSIDE_PORT)
    }

    /// How many packets the NAT has refused because nothing inside had asked for them.
    pub(crate) fn refused(&self) -> u64 {
        self.nat.counters("ip nat")["refused"]
    }
}

/// A host at the router, which has `gateways` on that cable; its default routes lead there.
fn attach(router: &Namespace, role: &str, addresses: &[&str], gateways: &[&str]) -> Namespace {
    let host = Namespace::new(role);
    link(&host, "wan", router, role);
    for address in addresses {
        host.address("wan", address);
    }
    for gateway in gateways {
        router.address(role, gateway);
        host.route("default", gateway.split('/').next().unwrap());
    }
    host
}

/// What nobody inside asked for must be dropped, not rejected: a rejected packet would be
/// remembered as a connection of the NAT's own, and push the mapping to another port.
fn nat_rules(kind: Nat, number: u8) -> String {
    let inward = match kind {
        Nat::Cone => {
            format!("iifname wan udp dport {OUTSIDE_PORT} dnat to 10.{number}.0.2:{INSIDE_PORT}")
        }
        Nat::Restricted | Nat::Symmetric => String::new(),
    };
    let exception = match kind {
        Nat::Symmetric => {
            format!("oifname wan ip daddr {SECONDARY} udp dport 3544 masquerade to :40002")
        }
        Nat::Cone | Nat::Restricted => String::new(),
    };
    format!(
        "table ip nat {{
            counter refused {{ }}
            chain inward {{
                type nat hook prerouting priority dstnat
                {inward}
            }}
            chain outward {{
                type nat hook postrouting priority srcnat
                {exception}
                oifname wan meta l4proto udp masquerade to :{OUTSIDE_PORT}
            }}
            chain input {{
                type filter hook input priority filter
                iifname wan ct state new counter name refused drop
            }}
        }}"
    )
}

/// Each address of the server has one of the border's, and all of its ports.
fn one_to_one_rules() -> String {
    format!(
        "table ip nat {{
            chain inward {{
                type nat hook prerouting priority dstnat
                iifname wan ip daddr {PRIMARY} dnat to {BOUND}
                iifname wan ip daddr {SECONDARY} dnat to {BOUND_TOO}
            }}
            chain outward {{
                type nat hook postrouting priority srcnat
                oifname wan ip saddr {BOUND} snat to {PRIMARY}
                oifname wan ip saddr {BOUND_TOO} snat to {SECONDARY}
            }}
        }}"
    )
}

/// Counters of what crosses the server's sockets. `@th,64` is the UDP payload: 0x60 begins an
/// IPv6 packet, 0x0000 an origin indication (8 bytes), 0x00010000 an authentication header
/// without identifier (13 bytes). The next header is byte 6 of an IPv6 packet, the ICMPv6 type
/// byte 40.
fn watch_rules(secondary: Ipv4Addr) -> String {
    format!(
        "table inet watch {{
            counter solicitations {{ }}
            counter to_secondary {{ }}
            counter bubbles_in {{ }}
            counter echoes_in {{ }}
            counter strange_in {{ }}
            counter advertisements {{ }}
            counter from_secondary {{ }}
            counter bubbles_out {{ }}
            counter native_echoes {{ }}
            counter strange_out {{ }}
            chain input {{
                type filter hook input priority filter
                meta l4proto != udp return
                ip daddr {secondary} counter name to_secondary
                @th,64,32 0x00010000 @th,216,8 58 @th,488,8 133 counter name solicitations return
                @th,64,8 0x60 @th,112,8 59 counter name bubbles_in return
                @th,64,8 0x60 @th,112,8 58 @th,384,8 128 counter name echoes_in return
                counter name strange_in
            }}
            chain output {{
                type filter hook output priority filter
                ip6 saddr 2001::/32 icmpv6 type echo-request counter name native_echoes return
                meta l4proto != udp return
                ip saddr {secondary} counter name from_secondary
                @th,64,32 0x00010000 @th,168,16 0 @th,280,8 58 @th,552,8 134 \
                    counter name advertisements return
                @th,64,16 0 @th,176,8 59 counter name bubbles_out return
                counter name strange_out
            }}
        }}"
    )
}

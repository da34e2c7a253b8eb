//! A small Internet with NATs of every kind that nftables can make:
//!
//! ```text
//!    192.168.1.2  192.168.1.3           192.168.2.2
//!       a            beside                b
//!       +------+------+                    |
//!              |                           |
//!    192.168.1.1: NAT                   NAT: 192.168.2.1, port-restricted
//!       198.51.100.10                  198.51.100.20
//!              |                           |
//!    ==========+======== one link =========+============================
//!        |                     |                       |
//!  198.51.100.1, .2      198.51.100.30          2001:db8:6::40
//!  2001:db8:6::1         2001:db8:6::30             native
//!      server                relay
//!                     (2001::/32 goes there)
//! ```

use std::net::Ipv6Addr;

use crate::lab::{Namespace, Server, Subject, link};

pub(crate) const SERVER: &str = "198.51.100.1";
pub(crate) const NATIVE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 6, 0, 0, 0, 0, 0x40);

/// The service port of hosts that a NAT has reserved one for.
pub(crate) const PORT: &str = "4500";

/// Kinds of NAT. Those with a reserved port map it, inside 4500, to 40001 of the first host and 40003 of the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nat {
    /// Keeps ports, lets in answers only.
    Restricted,
    /// The same with other ports outside.
    RestrictedShifted,
    /// The same, and what nobody asked for is rejected and remembered: the next packet there leaves from another port.
    RestrictedRejecting,
    /// Lets in whom anything was sent to, from any of his ports.
    AddressRestricted,
    /// Lets everybody in.
    Cone,
    /// Another port for each destination.
    Symmetric,
    /// The same, chosen in another way.
    SymmetricFully,
    /// A reserved port for each of two hosts, open for answers only.
    Reserved,
    /// A reserved port for each of two hosts, open for everybody, each other included.
    Hairpin,
    /// The same, but the sender's address becomes the inner one of the NAT.
    HairpinInner,
}

pub(crate) struct Internet {
    pub(crate) a: Namespace,
    pub(crate) beside: Namespace,
    pub(crate) b: Namespace,
    pub(crate) native: Namespace,
    pub(crate) relay: Namespace,
    pub(crate) server: Namespace,
    nat: Namespace,
    _nat_of_b: Namespace,
    _link: Namespace,
}

impl Internet {
    pub(crate) fn new() -> Self {
        let wire = Namespace::new("link");
        wire.ip("link add bridge type bridge");
        wire.ip("link set bridge up");
        let attach = |role: &str, addresses: &[&str]| {
            let host = Namespace::new(role);
            link(&host, "wan", &wire, role);
            wire.ip(&format!("link set {role} master bridge"));
            for address in addresses {
                host.address("wan", address);
            }
            host
        };
        let server = attach(
            "server",
            &["198.51.100.1/24", "198.51.100.2/24", "2001:db8:6::1/64"],
        );
        let relay = attach("relay", &["198.51.100.30/24", "2001:db8:6::30/64"]);
        relay.forward();
        let native = attach("native", &["2001:db8:6::40/64"]);
        for host in [&server, &native] {
            host.route("2001::/32", "2001:db8:6::30");
        }
        let nat = attach("nat", &["198.51.100.10/24"]);
        let nat_of_b = attach("nat-of-b", &["198.51.100.20/24"]);
        let [a, beside] =
            [("host-a", 2), ("beside", 3)].map(|(role, number)| behind(&nat, role, 1, number));
        let b = behind(&nat_of_b, "host-b", 2, 2);
        nat_of_b.nft(&rules(Nat::Restricted));
        Self {
            a,
            beside,
            b,
            native,
            relay,
            server,
            nat,
            _nat_of_b: nat_of_b,
            _link: wire,
        }
    }

    pub(crate) fn start(&self, subject: &Subject) -> Server {
        subject.start(&self.server, &format!("ServerBindAddress {SERVER}\n"), 2)
    }

    /// Makes the NAT of `a` and `beside` one of this kind, which has forgotten all.
    pub(crate) fn set_nat(&self, kind: Nat) {
        self.nat.nft(&format!("flush ruleset\n{}", rules(kind)));
        // Whom connections lead to, which the rules do not ask again about.
        self.nat.run("conntrack -F");
    }

    /// The NAT of `a` drops what the relay sends.
    pub(crate) fn drop_relay(&self) {
        self.nat.nft(
            "table ip relay {
                chain forward {
                    type filter hook forward priority filter
                    ip saddr 198.51.100.30 drop
                }
            }",
        );
    }
}

/// A host at the bridge `lan` of a NAT.
fn behind(nat: &Namespace, role: &str, network: u8, number: u8) -> Namespace {
    let host = Namespace::new(role);
    link(&host, "lan", nat, role);
    if number == 2 {
        nat.ip("link add lan type bridge");
        nat.ip("link set lan up");
        nat.address("lan", &format!("192.168.{network}.1/24"));
        nat.forward();
    }
    nat.ip(&format!("link set {role} master lan"));
    host.address("lan", &format!("192.168.{network}.{number}/24"));
    host.route("default", &format!("192.168.{network}.1"));
    host
}

fn rules(kind: Nat) -> String {
    const FIRST: &str = "192.168.1.2";
    const SECOND: &str = "192.168.1.3";
    let any = "oifname wan masquerade;".to_owned();
    let reserved = |target: &str| {
        format!(
            "ip saddr {FIRST} udp sport 4500 oifname {target} to :40001;
             ip saddr {SECOND} udp sport 4500 oifname {target} to :40003;
             oifname wan masquerade;"
        )
    };
    let both = format!(
        "ip daddr 198.51.100.10 udp dport 40001 dnat to {FIRST}:4500;
         ip daddr 198.51.100.10 udp dport 40003 dnat to {SECOND}:4500;"
    );
    let hairpin = format!(
        "ip saddr {FIRST} udp sport 4500 snat to 198.51.100.10:40001;
         ip saddr {SECOND} udp sport 4500 snat to 198.51.100.10:40003;
         oifname wan masquerade;"
    );
    let (outward, inward) = match kind {
        Nat::Restricted | Nat::RestrictedRejecting => (any, String::new()),
        Nat::RestrictedShifted => (
            "oifname wan meta l4proto udp masquerade to :20000-29999;".to_owned(),
            String::new(),
        ),
        Nat::AddressRestricted => (
            any,
            format!("iifname wan ip saddr @seen udp dport 1024-65535 dnat to {FIRST};"),
        ),
        Nat::Cone => (
            any,
            format!("iifname wan udp dport 1024-65535 dnat to {FIRST};"),
        ),
        Nat::Symmetric => ("oifname wan masquerade random;".to_owned(), String::new()),
        Nat::SymmetricFully => (
            "oifname wan masquerade fully-random;".to_owned(),
            String::new(),
        ),
        Nat::Reserved => (reserved("wan masquerade"), String::new()),
        Nat::Hairpin => (hairpin, both),
        // The port stays, the address is that of the way out: back to where it came from, the inner one.
        Nat::HairpinInner => (
            format!(
                "{} {}",
                reserved("wan masquerade"),
                reserved("lan masquerade")
            ),
            both,
        ),
    };
    let unasked = match kind {
        Nat::RestrictedRejecting => "",
        _ => "iifname wan ct state new drop;",
    };
    format!(
        "table ip nat {{
            set seen {{ type ipv4_addr; flags dynamic,timeout; timeout 120s; }}
            chain inward {{ type nat hook prerouting priority dstnat; {inward} }}
            chain outward {{ type nat hook postrouting priority srcnat; {outward} }}
            chain remember {{
                type filter hook forward priority filter;
                iifname lan ip protocol udp update @seen {{ ip daddr }}
            }}
            chain unasked {{ type filter hook input priority filter; {unasked} }}
        }}"
    )
}

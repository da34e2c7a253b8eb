//! A server whose two addresses are of two providers, each of which drops what has a source that is not its own (RFC 2827):
//! every answer leaves by the provider of its address, with the rules that miredo-server.conf(5) gives.
//!
//! ```text
//!        client 203.0.113.1
//!                |
//!            internet
//!            /       \
//!    provider0       provider1
//!    192.0.2.254     198.51.100.254
//!            \       /
//!             server               192.0.2.1 on wan0, 198.51.100.1 on wan1
//! ```
#![cfg(test)]
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod harness;
mod lab;

use std::net::{IpAddr, Ipv4Addr};

use lab::{DEADLINE, Namespace, Subject, link, wait_until};

const PRIMARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SECONDARY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

#[test]
fn each_address_answers_through_its_own_provider() {
    if !lab::require(&["ip", "nft"]) {
        return;
    }
    let [client, internet, server] = ["client", "internet", "server"].map(Namespace::new);
    internet.forward();
    link(&client, "wan", &internet, "client");
    client.address("wan", "203.0.113.1/24");
    internet.address("client", "203.0.113.254/24");
    client.route("default", "203.0.113.254");
    let networks = ["192.0.2", "198.51.100"];
    let providers = networks.map(provider);
    for (number, (provider, network)) in (0..).zip(providers.iter().zip(networks)) {
        let outer = format!("10.0.{number}");
        let cable = format!("provider{number}");
        link(provider, "outside", &internet, &cable);
        provider.address("outside", &format!("{outer}.2/24"));
        internet.address(&cable, &format!("{outer}.1/24"));
        provider.route("default", &format!("{outer}.1"));
        internet.route(&format!("{network}.0/24"), &format!("{outer}.2"));
        let cable = format!("wan{number}");
        link(&server, &cable, provider, "inside");
        server.address(&cable, &format!("{network}.1/24"));
        provider.address("inside", &format!("{network}.254/24"));
    }
    server.route("default", "192.0.2.254");
    let [first, second] = &providers;

    let configuration = format!("ServerBindAddress {PRIMARY}\nServerBindAddress2 {SECONDARY}\n");
    let _server = Subject::ours().start(&server, &configuration, 2);
    let client = client.within(|| harness::Client::new(CLIENT));

    // One default route: what the secondary address sends leaves by the wrong provider, and gets no further.
    client.solicit(SECONDARY, 1, false);
    wait_until("an answer that the first provider drops", DEADLINE, || {
        refused(first) == 1
    });

    server.ip("route add default via 198.51.100.254 dev wan1 table 2");
    server.ip("rule add from 198.51.100.1 table 2");
    let questions = [
        (PRIMARY, false, PRIMARY),
        (SECONDARY, false, SECONDARY),
        (PRIMARY, true, SECONDARY),
        (SECONDARY, true, PRIMARY),
    ];
    for (number, (to, cone, from)) in (2..).zip(questions) {
        client.solicit(to, number, cone);
        let answer = client.advertisement();
        assert_eq!((answer.from, answer.nonce), (IpAddr::V4(from), number));
        assert_eq!(answer.mapped, client.mapped());
    }
    assert_eq!((refused(first), refused(second)), (1, 0));
}

/// A router that forwards nothing from the server but what has a source in its `network`.
fn provider(network: &str) -> Namespace {
    let host = Namespace::new("provider");
    host.forward();
    host.nft(&format!(
        "table inet watch {{
            counter refused {{ }}
            chain forward {{
                type filter hook forward priority filter
                iifname inside ip saddr != {network}.0/24 counter name refused drop
            }}
        }}"
    ));
    host
}

fn refused(provider: &Namespace) -> u64 {
    provider.counters("inet watch")["refused"]
}

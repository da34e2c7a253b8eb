//! The way out through a tunnel device, as Linux has it: from the device through the host's forwarding to a link.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests report by panicking"
)]

mod common;
#[path = "common/network.rs"]
mod network;

use std::fs;
use std::io::ErrorKind;

use miredo_platform::{Attached, EchoPath, Icmp6, Progress, Raw, RawIcmp6};
use network::{in_own_network, receive, run, watch_ipv6};

const FORWARDING: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

/// RFC 4380 section 5.2.9.
///
///     tunnel ---- this host ---- v0 2001:db8::1/64 ---- v1 (watched; stands in for 2001:db8::2)
#[test]
fn a_tunnel_forwards_an_echo_request_with_the_clients_source() {
    if !in_own_network("a_tunnel_forwards_an_echo_request_with_the_clients_source") {
        return;
    }
    run("ip link add v0 type veth peer name v1 address 02:00:00:00:00:02");
    run("ip address add 2001:db8::1/64 dev v0 nodad");
    run("ip link set v0 up");
    run("ip link set v1 up");
    run("ip -6 neighbour add 2001:db8::2 lladdr 02:00:00:00:00:02 dev v0");
    fs::write(FORWARDING, "1").unwrap();
    // The other side is this host too, and must not send the packet round again.
    fs::write("/proc/sys/net/ipv6/conf/v1/disable_ipv6", "1").unwrap();
    let watch = watch_ipv6("v1");

    let message = [128, 0, 0xbe, 0xef, 1, 2, 3, 4, b'p', b'i', b'n', b'g'];
    let echo = Icmp6 {
        source: "2001:0:c000:201:8000:63bf:3fff:fdd2".parse().unwrap(),
        destination: "2001:db8::2".parse().unwrap(),
        hop_limit: 63,
        message: &message,
    };
    let opened = Raw::open(EchoPath::Tunnel).unwrap();
    let shared = Raw::share(&opened).unwrap();
    for descriptor in [opened, shared] {
        let mut raw = Raw::new(descriptor, Attached::default(), 1).unwrap();
        assert_eq!(raw.send(&echo).unwrap(), Progress::Moved(1));
        let packet = loop {
            let packet = receive(&watch);
            // Neighbour discovery and multicast listener reports of the interfaces pass by as well.
            if packet[8..24] == echo.source.octets() {
                break packet;
            }
        };
        assert_eq!(packet[..8], [0x60, 0, 0, 0, 0, 12, 58, 63]);
        assert_eq!(packet[24..40], echo.destination.octets());
        assert_eq!(packet[40..], message, "unchanged, checksum and all");
    }
}

#[test]
fn a_host_that_does_not_forward_is_told_the_setting() {
    if !in_own_network("a_host_that_does_not_forward_is_told_the_setting") {
        return;
    }
    fs::write(FORWARDING, "0").unwrap();
    assert!(Raw::check(EchoPath::Native).is_ok());
    let told = Raw::check(EchoPath::Tunnel).unwrap_err().to_string();
    let remedy = "; sysctl -w net.ipv6.conf.all.forwarding=1";
    assert!(told.ends_with(remedy), "{told}");
    fs::write(FORWARDING, "1").unwrap();
    Raw::check(EchoPath::Tunnel).unwrap();
}

#[test]
fn the_interface_is_up_while_the_tunnel_is_open_and_no_longer() {
    if !in_own_network("the_interface_is_up_while_the_tunnel_is_open_and_no_longer") {
        return;
    }
    let tunnels = || {
        let names = nix::net::if_::if_nameindex().unwrap();
        let names = names
            .iter()
            .map(|name| name.name().to_str().unwrap().to_owned());
        names
            .filter(|name| name.starts_with("tun"))
            .collect::<Vec<_>>()
    };
    assert_eq!(tunnels(), [""; 0]);
    let first = Raw::open(EchoPath::Tunnel).unwrap();
    let second = Raw::open(EchoPath::Tunnel).unwrap();
    assert_eq!(tunnels(), ["tun0", "tun1"]);
    // A device whose interface is down refuses the packet with EIO.
    let message = Icmp6 {
        source: "2001:0:c000:201::1".parse().unwrap(),
        destination: "2001:db8::2".parse().unwrap(),
        hop_limit: 63,
        message: &[128, 0, 0, 0],
    };
    let mut raw = Raw::new(first, Attached::default(), 1).unwrap();
    assert_eq!(raw.send(&message).unwrap(), Progress::Moved(1));
    run("ip link set tun0 down");
    let error = raw.send(&message).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("write to tunnel for 2001:db8::2: "),
        "{error}"
    );
    assert_ne!(error.kind(), ErrorKind::WouldBlock);
    drop((raw, second));
    assert_eq!(tunnels(), [""; 0]);
}

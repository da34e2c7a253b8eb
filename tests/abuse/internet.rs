//! The topology: a server, everybody else, and one host behind a NAT.
//!
//! ```text
//!   server ----- cable ----- net ----- cable ----- nat ----- cable ----- inside
//!   192.0.2.1, .2            198.51.100.7, .8      203.0.113.1           10.0.0.2
//!   2001:db8:53::1           198.51.100.66
//! ```
//! What comes to port 4007 of the NAT goes to port 7 inside, and what that port sends leaves by port 4008.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use miredo_server::wire::address::{ALL_ROUTERS, ServicePrefix, TeredoAddress, link_local};
use miredo_server::wire::discovery::RouterSolicitation;
use miredo_server::wire::icmp6::{ECHO_REQUEST, Echo};
use miredo_server::wire::ipv6::Header;
use pnet_packet::icmpv6::Icmpv6Type;

use crate::lab::{DEADLINE, Namespace, Server, Subject, link};

pub(crate) const PRIMARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const SECOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(crate) const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 1);
pub(crate) const SERVICE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
pub(crate) const SERVICE_TOO: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 8);
pub(crate) const STRANGER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 66), 5000);
const ASKER: SocketAddrV4 = SocketAddrV4::new(*STRANGER.ip(), 6000);
pub(crate) const NAT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
pub(crate) const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

pub(crate) struct Internet {
    pub(crate) server: Namespace,
    pub(crate) net: Namespace,
    _nat: Namespace,
    pub(crate) inside: Namespace,
    stranger: UdpSocket,
    asker: UdpSocket,
}

impl Internet {
    pub(crate) fn new() -> Self {
        let [server, net, nat, inside] = ["server", "net", "nat", "inside"].map(Namespace::new);
        link(&server, "wan", &net, "server");
        link(&nat, "wan", &net, "nat");
        link(&inside, "wan", &nat, "lan");
        for address in ["192.0.2.1/24", "192.0.2.2/24", "2001:db8:53::1/64"] {
            server.address("wan", address);
        }
        for address in ["192.0.2.254/24", "2001:db8:53::ff/64"] {
            net.address("server", address);
            server.route("default", address.split('/').next().unwrap());
        }
        net.address("nat", "203.0.113.254/24");
        for address in [SERVICE, SERVICE_TOO, *STRANGER.ip()] {
            net.address("lo", &format!("{address}/32"));
        }
        nat.address("wan", &format!("{NAT}/24"));
        nat.route("default", "203.0.113.254");
        nat.address("lan", "10.0.0.1/24");
        inside.address("wan", &format!("{INSIDE}/24"));
        inside.route("default", "10.0.0.1");
        net.forward();
        nat.forward();
        nat.nft(&format!(
            "table ip nat {{
                chain inward {{
                    type filter hook prerouting priority raw
                    ip daddr {NAT} udp dport 4007 notrack ip daddr set {INSIDE} udp dport set 7
                }}
                chain outward {{
                    type filter hook postrouting priority raw
                    ip saddr {INSIDE} udp sport 7 ip saddr set {NAT} udp sport set 4008
                }}
            }}"
        ));
        server.nft(
            "table inet watch {
                counter pings { }
                chain input {
                    type filter hook input priority filter
                    ip6 saddr 2001::/32 icmpv6 type echo-request counter name pings
                }
            }",
        );
        Self {
            stranger: socket(&net, STRANGER),
            asker: socket(&net, ASKER),
            server,
            net,
            _nat: nat,
            inside,
        }
    }

    /// Starts the server with one worker, which handles datagrams in the order in which they come.
    pub(crate) fn start_server(&self, lines: &str) -> Server {
        Subject::ours().start(&self.server, &configuration(lines), 2)
    }

    pub(crate) fn configure(&self, server: &Server, lines: &str) {
        server.configure(&configuration(lines));
    }

    /// Sends a datagram to the server as the stranger.
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.stranger.send_to(bytes, (PRIMARY, 3544)).unwrap();
    }

    /// Returns when what was sent before has had time to go round ten times: each answer comes behind whatever the server had
    /// to forward before.
    pub(crate) fn settle(&self) {
        for _ in 0..10 {
            ask(&self.asker);
        }
    }

    /// Has the stranger send an echo request to a native address, as a client.
    pub(crate) fn ping(&self, native: Ipv6Addr) {
        self.send(&echo(ECHO_REQUEST, teredo(PRIMARY, STRANGER), native));
    }

    /// How many echo requests of clients the server's host itself has received.
    pub(crate) fn pings(&self) -> u64 {
        self.server.counters("inet watch")["pings"]
    }
}

pub(crate) fn socket(host: &Namespace, at: SocketAddrV4) -> UdpSocket {
    host.within(|| UdpSocket::bind(at)).unwrap()
}

/// Asks for an advertisement and waits for it.
pub(crate) fn ask(socket: &UdpSocket) {
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let solicitation = RouterSolicitation {
        source: link_local(0, STRANGER),
        destination: ALL_ROUTERS,
    };
    let bytes = written(|out| solicitation.emit(out));
    socket.send_to(&bytes, (PRIMARY, 3544)).unwrap();
    let mut answer = [0; 256];
    let (len, from) = socket.recv_from(&mut answer).expect("an advertisement");
    assert_eq!((len, from), (104, (PRIMARY, 3544).into()));
}

fn configuration(lines: &str) -> String {
    format!("ServerBindAddress {PRIMARY}\nWorkers 1\n{lines}")
}

/// An echo service over UDP (RFC 862); stopped on drop.
pub(crate) struct Service {
    socket: UdpSocket,
    heard: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    pub(crate) fn start(host: &Namespace, at: SocketAddrV4) -> Self {
        let socket = socket(host, at);
        Self::run(socket.try_clone().unwrap(), socket)
    }

    /// On a host of two addresses: asked at one, it answers from the other.
    pub(crate) fn start_twofold(
        host: &Namespace,
        asked: SocketAddrV4,
        answers: SocketAddrV4,
    ) -> Self {
        let [ear, mouth] = [asked, answers].map(|at| socket(host, at));
        Self::run(ear, mouth)
    }

    fn run(ear: UdpSocket, socket: UdpSocket) -> Self {
        ear.set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let mouth = socket.try_clone().unwrap();
        let (heard, ended) = (Arc::default(), Arc::default());
        let mut service = Self {
            socket,
            heard,
            ended,
            thread: None,
        };
        let (heard, ended) = (service.heard.clone(), service.ended.clone());
        service.thread = Some(thread::spawn(move || {
            let mut bytes = [0; 2048];
            while !ended.load(Ordering::Relaxed) {
                if let Ok((len, from)) = ear.recv_from(&mut bytes) {
                    mouth.send_to(&bytes[..len], from).unwrap();
                    heard.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
        service
    }

    /// How many datagrams it was sent.
    pub(crate) fn heard(&self) -> usize {
        self.heard.load(Ordering::Relaxed)
    }

    /// Sends a datagram to the server as if the service had.
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, (PRIMARY, 3544)).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The Teredo address of a client of `server`.
pub(crate) fn teredo(server: Ipv4Addr, mapped: SocketAddrV4) -> Ipv6Addr {
    TeredoAddress {
        prefix: ServicePrefix::GLOBAL,
        server,
        flags: 0,
        mapped,
    }
    .to_ipv6()
}

pub(crate) fn bubble(source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    written(|out| Header::bubble(source, destination).emit(out))
}

pub(crate) fn echo(kind: Icmpv6Type, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let echo = Echo {
        kind,
        identifier: 1,
        sequence: 1,
        data: b"12345678",
    };
    written(|out| echo.emit(out, source, destination, 64))
}

fn written(emit: impl FnOnce(&mut [u8]) -> Option<&mut [u8]>) -> Vec<u8> {
    let mut bytes = [0; 256];
    let left = emit(&mut bytes).unwrap().len();
    bytes[..bytes.len() - left].to_vec()
}

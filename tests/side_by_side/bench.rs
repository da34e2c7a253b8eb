//! One server on a bench of its own: what goes in, and everything that comes out.
//!
//! ```text
//!   tester 192.0.2.254 ----- cable ----- server 192.0.2.1, 192.0.2.2, 2001:db8:53::1
//! ```
//! The tester is the IPv4 and the IPv6 Internet: it sends from any address, and everything the server sends is
//! routed to it. What the server sends is read on the server's side of the cable and of its loopback, as it leaves.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::lab::{DEADLINE, Namespace, Server, Subject, link};
use crate::packet::{NEWCOMER, PORT, PRIMARY, Packet, SECONDARY, authentication};

const TESTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
/// The server's own address on the native IPv6 Internet.
pub(crate) const UPLINK: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 1);
const TESTER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 2);

/// So many packets after one datagram are a loop.
const ENDLESS: usize = 16;

/// One packet that the server sent.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Over UDP.
    Datagram {
        from: SocketAddrV4,
        to: SocketAddrV4,
        dont_fragment: bool,
        payload: Vec<u8>,
    },
    /// Over IPv6, from its header on.
    Native(Vec<u8>),
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = match self {
            Self::Datagram {
                from,
                to,
                dont_fragment,
                payload,
            } => {
                let dont_fragment = if *dont_fragment { ", DF" } else { "" };
                write!(f, "{from} > {to}{dont_fragment}, {} octets ", payload.len())?;
                payload
            }
            Self::Native(packet) => {
                write!(f, "native, {} octets ", packet.len())?;
                packet
            }
        };
        bytes
            .iter()
            .take(160)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

pub(crate) struct Bench {
    capture: OwnedFd,
    inject: Socket,
    udp_counters: File,
    asked: u64,
    // In the order in which they have to go.
    _process: Server,
    _server: Namespace,
    _tester: Namespace,
}

impl Bench {
    /// Starts `subject` with `directives` besides its address, and returns once it answers.
    pub(crate) fn new(subject: &Subject, directives: &str) -> Self {
        let (server, tester) = (Namespace::new("server"), Namespace::new("tester"));
        wire_up(&server, &tester);
        let (capture, udp_counters) = server.within(|| {
            (
                capture_socket(),
                File::open("/proc/thread-self/net/snmp").unwrap(),
            )
        });
        let inject = tester.within(|| {
            Socket::new(
                Domain::IPV4,
                Type::RAW,
                Some(Protocol::from(libc::IPPROTO_RAW)),
            )
        });
        let configuration = format!("ServerBindAddress {PRIMARY}\n{directives}");
        let process = subject.start(&server, &configuration, 2);
        let mut bench = Self {
            capture,
            inject: inject.unwrap(),
            udp_counters,
            asked: 0,
            _process: process,
            _server: server,
            _tester: tester,
        };
        bench.drain();
        bench
    }

    /// Sends one datagram to the server and returns everything that leaves it in consequence.
    pub(crate) fn exchange(&mut self, from: SocketAddrV4, to: Ipv4Addr, bytes: &[u8]) -> Vec<Sent> {
        let before = self.datagrams_read();
        self.send(from, to, bytes);
        let sent = self.drain();
        let read = self.datagrams_read() - before;
        assert!(
            read >= 3,
            "the kernel did not hand the server the datagram from {from}: {read} of 3 read"
        );
        sent
    }

    /// Asks for an advertisement through each address. When both have come, the server is done with all it had
    /// received before, and with what it had sent to itself; returns what else it sent meanwhile.
    fn drain(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        for to in [PRIMARY, SECONDARY] {
            let asker = self.ask(to);
            loop {
                match self.next() {
                    Sent::Datagram { to, .. } if to == asker => break,
                    other => sent.push(other),
                }
                assert!(
                    sent.len() < ENDLESS,
                    "the server does not stop sending: {sent:?}"
                );
            }
        }
        sent
    }

    /// Solicits from an address and port that no case uses, others than the last time.
    fn ask(&mut self, to: Ipv4Addr) -> SocketAddrV4 {
        self.asked += 1;
        let [.., high, low] = self.asked.to_be_bytes();
        let port = 1024 + u16::from(high);
        let asker = SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, low), port);
        let question = [
            authentication(0, 0, self.asked, 0),
            Packet::solicitation(NEWCOMER, &[]).bytes(),
        ]
        .concat();
        self.send(asker, to, &question);
        asker
    }

    fn send(&self, from: SocketAddrV4, to: Ipv4Addr, bytes: &[u8]) {
        let packet = ipv4_udp(from, SocketAddrV4::new(to, PORT), bytes);
        let sent = self
            .inject
            .send_to(&packet, &SockAddr::from(SocketAddrV4::new(to, 0)))
            .unwrap();
        assert_eq!(sent, packet.len());
    }

    /// The next packet that the server process sent.
    fn next(&self) -> Sent {
        let mut buffer = vec![0; 1 << 17];
        loop {
            let (len, link) = recvfrom::<LinkAddr>(self.capture.as_raw_fd(), &mut buffer)
                .unwrap_or_else(|error| panic!("no advertisement within {DEADLINE:?}: {error}"));
            if link.is_some_and(|link| link.pkttype() == libc::PACKET_OUTGOING)
                && let Some(sent) = parse(&buffer[..len])
            {
                return sent;
            }
        }
    }

    /// How many datagrams processes on the server have received from their sockets.
    fn datagrams_read(&mut self) -> u64 {
        let mut text = String::new();
        self.udp_counters.rewind().unwrap();
        self.udp_counters.read_to_string(&mut text).unwrap();
        let values = text.lines().filter(|line| line.starts_with("Udp:")).nth(1);
        values
            .and_then(|line| line.split(' ').nth(1))
            .unwrap()
            .parse()
            .unwrap()
    }
}

/// Every address reachable, every source believed, no packet cut, and the kernel as silent as it can be.
fn wire_up(server: &Namespace, tester: &Namespace) {
    for host in [server, tester] {
        // No address but those below, hence no listener reports from a link-local one.
        host.sysctl("ipv6/conf/default/addr_gen_mode=1");
    }
    link(server, "up0", tester, "down0");
    for (host, interface) in [(server, "up0"), (tester, "down0")] {
        // Nothing is asked before a packet leaves: without ARP, frames go to the interface's own address.
        host.ip(&format!(
            "link set {interface} mtu 65535 arp off address 02:00:00:00:00:01"
        ));
    }
    for setting in [
        "ipv4/conf/all/accept_local=1",
        "ipv4/conf/up0/route_localnet=1",
    ] {
        server.sysctl(setting);
    }
    for address in [PRIMARY, SECONDARY] {
        server.address("up0", &format!("{address}/24"));
    }
    server.address("up0", &format!("{UPLINK}/64"));
    tester.address("down0", &format!("{TESTER}/24"));
    tester.address("down0", &format!("{TESTER6}/64"));
    server.route("default", &TESTER.to_string());
    server.route("default", &TESTER6.to_string());
}

fn capture_socket() -> OwnedFd {
    let all = SockProtocol::EthAll;
    let socket = socket(
        AddressFamily::Packet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        all,
    )
    .unwrap();
    let deadline = TimeVal::new(i64::try_from(DEADLINE.as_secs()).unwrap(), 0);
    setsockopt(&socket, sockopt::ReceiveTimeout, &deadline).unwrap();
    setsockopt(&socket, sockopt::RcvBufForce, &(1 << 22)).unwrap();
    socket
}

fn ipv4_udp(from: SocketAddrV4, to: SocketAddrV4, bytes: &[u8]) -> Vec<u8> {
    let udp_len = u16::try_from(bytes.len() + 8).expect("a datagram that IPv4 can carry");
    // Congestion experienced (RFC 3168), which is no business of what the server sends in answer (RFC 9601 section 3).
    let mut packet = vec![0x45, 3];
    packet.extend_from_slice(&(udp_len + 20).to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0]); // The kernel fills in the checksum.
    packet.extend_from_slice(&from.ip().octets());
    packet.extend_from_slice(&to.ip().octets());
    for half in [from.port(), to.port(), udp_len, 0] {
        packet.extend_from_slice(&half.to_be_bytes());
    }
    packet.extend_from_slice(bytes);
    packet
}

/// What the server process sent, or nothing for what the kernel says on its own behalf.
fn parse(packet: &[u8]) -> Option<Sent> {
    match packet.first()? >> 4 {
        4 if packet.get(9) == Some(&17) => Some(datagram(packet)),
        6 if !of_kernel(packet) => Some(Sent::Native(packet.to_vec())),
        _ => None,
    }
}

fn datagram(packet: &[u8]) -> Sent {
    let udp = usize::from(packet[0] & 15) * 4;
    let half = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let address =
        |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
    assert_eq!(packet[1], 0, "DSCP and ECN of a datagram");
    assert_eq!(
        half(6) & 0x3fff,
        0,
        "the cable carries every datagram whole"
    );
    Sent::Datagram {
        from: SocketAddrV4::new(address(12), half(udp)),
        to: SocketAddrV4::new(address(16), half(udp + 2)),
        dont_fragment: half(6) & 0x4000 != 0,
        payload: packet[udp + 8..].to_vec(),
    }
}

/// Neighbour discovery, listener reports and errors, all from an address of the host.
fn of_kernel(packet: &[u8]) -> bool {
    let mut source = [0; 16];
    source.copy_from_slice(&packet[8..24]);
    [UPLINK, Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED].contains(&Ipv6Addr::from(source))
}

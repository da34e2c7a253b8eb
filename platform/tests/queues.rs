//! What waits in the kernel, in and out, on Linux: what is dropped there is told, and absent neighbours take nobody's room.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests report by panicking"
)]

mod common;
#[path = "common/network.rs"]
mod network;
#[path = "common/readable.rs"]
mod readable;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, UdpSocket};
use std::num::NonZeroUsize;

use miredo_platform::udp::{Mover, Plain, SocketPair};
use miredo_platform::{
    Attached, BATCH, EchoPath, Endpoint, FastMover, Here, Icmp6, Inbox, NeighbourShare, Outbox,
    Progress, Raw, RawIcmp6, UdpPair, Via, host_addresses,
};
use network::{in_own_network, receive, run, watch_ipv6};
use readable::readable;
use socket2::SockRef;

const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// More than a send buffer holds, and than the table of neighbours: gc_thresh3 of arp(7), 1,024.
const ABSENT: u16 = 4096;

const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const BEYOND: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 9);
const BEYOND_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 7);

/// A network where nobody is but a router.
///
/// ```text
///     v0 198.18.0.1/16, 2001:db8::1/64 ---- v1 (up, no address; stands in for the router .0.2, ::2)
/// ```
fn lonely_network() {
    run("ip link add v0 type veth peer name v1 address 02:00:00:00:00:02");
    run("ip address add 198.18.0.1/16 dev v0");
    run("ip address add 2001:db8::1/64 dev v0 nodad");
    run("ip link set v0 up");
    run("ip link set v1 up");
    run("ip neighbour add 198.18.0.2 lladdr 02:00:00:00:00:02 dev v0");
    run("ip -6 neighbour add 2001:db8::2 lladdr 02:00:00:00:00:02 dev v0");
    run("ip route add default via 198.18.0.2");
    run("ip -6 route add default via 2001:db8::2");
}

fn absent(number: u16) -> SocketAddrV4 {
    let [high, low] = (number + 256).to_be_bytes();
    SocketAddrV4::new(Ipv4Addr::new(198, 18, high, low), 9)
}

fn outbox(to: impl IntoIterator<Item = SocketAddrV4>) -> Outbox {
    let mut outbox = Outbox::new();
    for to in to {
        outbox.free().unwrap()[..40].copy_from_slice(&[0; 40]);
        outbox.push(Via::Primary, to, 40);
    }
    outbox
}

fn pair<M: Mover>(attached: Attached) -> SocketPair<Here, M> {
    let sockets = Endpoint::open_pairs(SERVER, None, 0, ONE).unwrap();
    SocketPair::new(
        sockets.into_iter().next().unwrap(),
        attached,
        NeighbourShare::WHOLE,
    )
    .unwrap()
}

/// One datagram to each absent neighbour; how many left.
fn burst<M: Mover>(pair: &mut SocketPair<Here, M>) -> usize {
    let batches = (0..ABSENT).step_by(BATCH);
    let sent = batches.map(|first| {
        let report = pair.send(&outbox((first..).take(BATCH).map(absent)));
        assert_eq!(report.sent + report.would_block, BATCH, "{report:?}");
        report.sent
    });
    sent.sum()
}

fn mutes_nobody<M: Mover>(test: &str) {
    if !in_own_network(test) {
        return;
    }
    lonely_network();
    // The burst is such that whoever does not know the network is mute after it.
    let mut ignorant = pair::<M>(Attached::default());
    burst(&mut ignorant);
    assert_eq!(ignorant.send(&outbox([BEYOND])).would_block, 1);

    let mut pair = pair::<M>(host_addresses().unwrap().attached);
    let sent = burst(&mut pair);
    assert!(
        (1..512).contains(&sent),
        "{sent} left for absent neighbours"
    );
    // Beside those who are absent, and alone.
    let report = pair.send(&outbox([absent(1), BEYOND, absent(2), BEYOND]));
    assert_eq!((report.sent, report.would_block), (2, 2), "{report:?}");
    assert_eq!(report.full, Some(absent(2)));
    for _ in 0..10 {
        let report = pair.send(&outbox([BEYOND; BATCH]));
        assert_eq!(report.sent, BATCH, "{report:?}");
    }
    // The host's table of neighbours has room for one more.
    let other = UdpSocket::bind((SERVER, 0)).unwrap();
    other.send_to(b"new", absent(ABSENT + 1)).unwrap();
}

#[test]
fn absent_mute_nobody_fast() {
    mutes_nobody::<FastMover>("absent_mute_nobody_fast");
}

#[test]
fn absent_mute_nobody_plain() {
    mutes_nobody::<Plain>("absent_mute_nobody_plain");
}

/// The host's table of neighbours has 1,024 places.
#[test]
fn many_sockets_fill_no_table() {
    if !in_own_network("many_sockets_fill_no_table") {
        return;
    }
    lonely_network();
    let count = NonZeroUsize::new(32).unwrap();
    let share = NeighbourShare::of(count.get());
    let attached = host_addresses().unwrap().attached;
    let mut sent = 0;
    for (number, sockets) in (0..).zip(Endpoint::open_pairs(SERVER, None, 0, count).unwrap()) {
        let mut pair: SocketPair<Here, FastMover> =
            SocketPair::new(sockets, attached.clone(), share).unwrap();
        let first = number * 2 * u16::try_from(BATCH).unwrap();
        for batch in [first, first + u16::try_from(BATCH).unwrap()] {
            let report = pair.send(&outbox((batch..).take(BATCH).map(absent)));
            assert_eq!(report.sent + report.would_block, BATCH, "{report:?}");
            sent += report.sent;
        }
    }
    assert!(
        (32..768).contains(&sent),
        "{sent} left for absent neighbours"
    );
}

/// RFC 4380 section 5.2.9.
#[test]
fn absent_stop_no_echo() {
    if !in_own_network("absent_stop_no_echo") {
        return;
    }
    lonely_network();
    let echo = |destination| Icmp6 {
        source: "2001:0:c000:201:8000:63bf:3fff:fdd2".parse().unwrap(),
        destination,
        hop_limit: 63,
        message: &[128, 0, 0xbe, 0xef, 1, 2, 3, 4, b'p', b'i', b'n', b'g'],
    };
    let burst = |raw: &mut Raw| {
        let left = (0..ABSENT).filter(|number| {
            let absent = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 1, *number);
            raw.send(&echo(absent)).unwrap() != Progress::WouldBlock
        });
        left.count()
    };
    let open = |attached| Raw::new(Raw::open(EchoPath::Native).unwrap(), attached, 1).unwrap();
    let mut ignorant = open(Attached::default());
    burst(&mut ignorant);
    assert_eq!(
        ignorant.send(&echo(BEYOND_IPV6)).unwrap(),
        Progress::WouldBlock
    );

    let mut raw = open(host_addresses().unwrap().attached);
    let sent = burst(&mut raw);
    assert!(
        (1..512).contains(&sent),
        "{sent} left for absent neighbours"
    );
    let watch = watch_ipv6("v1");
    for _ in 0..1000 {
        assert_eq!(raw.send(&echo(BEYOND_IPV6)).unwrap(), Progress::Moved(1));
        // Neighbours are asked for meanwhile.
        while receive(&watch)[24..40] != BEYOND_IPV6.octets() {}
    }
}

/// What is received, and what is said beside it, until there were so many datagrams, here or dropped.
struct Heard {
    received: u64,
    dropped: u64,
    backlogged: bool,
}

fn hear<M: Mover>(pair: &mut SocketPair<Here, M>, count: u64) -> Heard {
    let mut inbox = Inbox::new();
    let mut heard = Heard {
        received: 0,
        dropped: 0,
        backlogged: false,
    };
    while heard.received + heard.dropped < count {
        readable(pair).unwrap();
        pair.receive(&mut inbox).unwrap();
        heard.received += inbox.len() as u64;
        heard.dropped += inbox.dropped(Via::Primary);
        heard.backlogged |= inbox.backlogged() == Some(true);
        assert_eq!(inbox.dropped(Via::Secondary), 0);
    }
    heard
}

fn drops_are_told<M: Mover>(buffer: usize, filled: bool) {
    let sockets = Endpoint::open_pairs(Ipv4Addr::LOCALHOST, None, 0, ONE).unwrap();
    let sockets = sockets.into_iter().next().unwrap();
    let socket = SockRef::from(&sockets.primary);
    socket.set_recv_buffer_size(buffer).unwrap();
    let server = socket.local_addr().unwrap().as_socket().unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let flood = |datagrams: u64| {
        for _ in 0..datagrams {
            client.send_to(b"flood", server).unwrap();
        }
    };
    // What was dropped before is not told again, since it was told by whoever had the sockets then.
    flood(1000);
    let mut pair =
        SocketPair::<Here, M>::new(sockets, Attached::default(), NeighbourShare::WHOLE).unwrap();
    let mut inbox = Inbox::new();
    while pair.receive(&mut inbox).unwrap() != Progress::WouldBlock {
        assert_eq!(inbox.dropped(Via::Primary), 0);
    }
    for _ in 0..3 {
        flood(1000);
        let heard = hear(&mut pair, 1000);
        assert_eq!(heard.received + heard.dropped, 1000);
        assert!(heard.received > 0 && heard.dropped > 0);
        assert_eq!(heard.backlogged, filled);
    }
    flood(3);
    let heard = hear(&mut pair, 3);
    assert_eq!((heard.received, heard.dropped), (3, 0));
    assert!(!heard.backlogged);
}

#[test]
fn what_the_kernel_drops_is_told() {
    drops_are_told::<FastMover>(100_000, true);
    drops_are_told::<Plain>(100_000, true);
}

/// A socket so small that it never fills a batch: drops come to light when it is quiet.
#[test]
fn drops_of_a_small_socket() {
    drops_are_told::<FastMover>(4096, false);
    drops_are_told::<Plain>(4096, false);
}

//! What only Linux does in its way: seen from the other side of a link, and by other processes.
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

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use miredo_platform::udp::{Mover, SocketPair};
use miredo_platform::{
    Attached, BATCH, EchoPath, Endpoint, FastMover, Here, Icmp6, Inbox, NeighbourShare, Outbox,
    Progress, Raw, RawIcmp6, UdpPair, Via, lock_file, udp::Plain,
};
use network::{in_own_network, receive, run, watch_ipv6};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
const ONE: NonZeroUsize = NonZeroUsize::MIN;
const FOUR: NonZeroUsize = NonZeroUsize::new(4).unwrap();

fn address(socket: &impl AsFd) -> SocketAddrV4 {
    let address = SockRef::from(&socket.as_fd()).local_addr().unwrap();
    address.as_socket_ipv4().unwrap()
}

fn outbox(count: usize, to: SocketAddrV4, bytes: &[u8]) -> Outbox {
    let mut outbox = Outbox::new();
    for _ in 0..count {
        outbox.free().unwrap()[..bytes.len()].copy_from_slice(bytes);
        outbox.push(Via::Primary, to, bytes.len());
    }
    outbox
}

#[test]
fn an_address_of_another_host_is_told_so() {
    let error = Endpoint::open_pairs(Ipv4Addr::new(192, 0, 2, 1), None, 3544, ONE).unwrap_err();
    let told = "bind 192.0.2.1:3544: address not assigned to this host";
    assert_eq!(error.to_string(), told);
}

#[test]
fn a_port_in_use_is_told_so_even_if_its_owner_would_share() {
    for sharing in [false, true] {
        let other = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        other.set_reuse_port(sharing).unwrap();
        other.bind(&SocketAddrV4::new(LOOPBACK, 0).into()).unwrap();
        let taken = address(&other);
        let error = Endpoint::open_pairs(LOOPBACK, None, taken.port(), FOUR).unwrap_err();
        let told = format!("bind {taken}: port already in use by another process");
        assert_eq!(error.to_string(), told);
    }
}

#[test]
fn sockets_share_the_load_and_nobody_else_gets_the_port() {
    let sockets = Endpoint::open_pairs(LOOPBACK, None, 0, FOUR).unwrap();
    assert_eq!(sockets.len(), 4);
    let to = address(&sockets[0].primary);
    let denied = UdpSocket::bind(to).unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::AddrInUse);

    // The hash of addresses and ports decides: 400 flows miss one of four sockets with a chance below 10^-49.
    for _ in 0..400 {
        UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .send_to(b"flow", to)
            .unwrap();
    }
    let mut total = 0;
    for sockets in sockets {
        let mut pair =
            SocketPair::<Here, FastMover>::new(sockets, Attached::default(), NeighbourShare::WHOLE)
                .unwrap();
        let mut inbox = Inbox::new();
        let mut here = 0;
        while let Progress::Moved(moved) = pair.receive(&mut inbox).unwrap() {
            here += moved;
        }
        assert_ne!(here, 0, "a socket without load");
        total += here;
    }
    assert_eq!(total, 400);
}

#[test]
fn sockets_are_closed_on_exec_and_do_not_block() {
    use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
    let second = Some(Ipv4Addr::new(127, 0, 0, 2));
    for pair in Endpoint::open_pairs(LOOPBACK, second, 0, FOUR).unwrap() {
        for socket in [pair.primary, pair.secondary.unwrap()] {
            let flags = fcntl(&socket, FcntlArg::F_GETFD).unwrap();
            assert_eq!(flags, FdFlag::FD_CLOEXEC.bits());
            let flags = fcntl(&socket, FcntlArg::F_GETFL).unwrap();
            assert!(OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK));
        }
    }
}

/// RFC 4380 section 5.1.2.
#[test]
fn the_dont_fragment_bit_is_not_set() {
    if !in_own_network("the_dont_fragment_bit_is_not_set") {
        return;
    }
    let watch = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)).unwrap();
    watch
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let peer = UdpSocket::bind("127.0.0.3:0").unwrap();
    let sockets = Endpoint::open_pairs(LOOPBACK, None, 0, ONE)
        .unwrap()
        .remove(0);
    let mut pair =
        SocketPair::<Here, FastMover>::new(sockets, Attached::default(), NeighbourShare::WHOLE)
            .unwrap();
    assert_eq!(
        pair.send(&outbox(1, address(&peer), b"fragment me")).sent,
        1
    );
    let mut packet = [0; 100];
    (&watch).read_exact(&mut packet[..20 + 8 + 11]).unwrap();
    assert_eq!(packet[28..39], *b"fragment me");
    assert_eq!(packet[6] & 0x40, 0, "DF is set: {packet:02x?}");
}

/// A link whose other side answers no ARP request keeps datagrams in the socket's send buffer until it is full.
///
///     v0 192.0.2.1/24 ---- v1 (up, no address)
fn a_full_socket_is_would_block<M: Mover>(test: &str) {
    if !in_own_network(test) {
        return;
    }
    run("ip link add v0 type veth peer name v1");
    run("ip address add 192.0.2.1/24 dev v0");
    run("ip link set v0 up");
    run("ip link set v1 up");
    let sockets = Endpoint::open_pairs(Ipv4Addr::new(192, 0, 2, 1), None, 0, ONE)
        .unwrap()
        .remove(0);
    SockRef::from(&sockets.primary)
        .set_send_buffer_size(1)
        .unwrap();
    let mut pair =
        SocketPair::<Here, M>::new(sockets, Attached::default(), NeighbourShare::WHOLE).unwrap();
    let nobody = "192.0.2.2:9".parse().unwrap();
    let report = pair.send(&outbox(BATCH, nobody, &[0; 200]));
    assert!(report.sent > 0, "{report:?}");
    assert!(report.would_block > 0, "{report:?}");
    assert_eq!(report.failed, 0, "{report:?}");
    assert_eq!(report.sent + report.would_block, BATCH);
}

#[test]
fn a_full_socket_is_would_block_fast() {
    a_full_socket_is_would_block::<FastMover>("a_full_socket_is_would_block_fast");
}

#[test]
fn a_full_socket_is_would_block_plain() {
    a_full_socket_is_would_block::<Plain>("a_full_socket_is_would_block_plain");
}

/// RFC 4380 section 5.2.9.
///
///     v0 2001:db8::1/64 ---- v1 (watched; stands in for 2001:db8::2)
#[test]
fn an_echo_request_leaves_with_the_clients_source() {
    if !in_own_network("an_echo_request_leaves_with_the_clients_source") {
        return;
    }
    run("ip link add v0 type veth peer name v1 address 02:00:00:00:00:02");
    run("ip address add 2001:db8::1/64 dev v0 nodad");
    run("ip link set v0 up");
    run("ip link set v1 up");
    run("ip -6 neighbour add 2001:db8::2 lladdr 02:00:00:00:00:02 dev v0");
    let watch = watch_ipv6("v1");

    let message = [128, 0, 0xbe, 0xef, 1, 2, 3, 4, b'p', b'i', b'n', b'g'];
    let echo = Icmp6 {
        source: "2001:0:c000:201:8000:63bf:3fff:fdd2".parse().unwrap(),
        destination: "2001:db8::2".parse().unwrap(),
        hop_limit: 63,
        message: &message,
    };
    let mut raw = Raw::new(Raw::open(EchoPath::Native).unwrap(), Attached::default(), 1).unwrap();
    assert_eq!(raw.send(&echo).unwrap(), Progress::Moved(1));

    let packet = loop {
        let packet = receive(&watch);
        // Neighbour discovery and multicast listener reports of the two interfaces pass by as well.
        if packet[8..24] == echo.source.octets() {
            break packet;
        }
    };
    assert_eq!(packet[..8], [0x60, 0, 0, 0, 0, 12, 58, 63]);
    assert_eq!(packet[24..40], echo.destination.octets());
    assert_eq!(packet[40..], message, "unchanged, checksum and all");

    let unreachable = Icmp6 {
        destination: "2001:db8:1::1".parse().unwrap(),
        ..echo
    };
    let error = raw.send(&unreachable).unwrap_err();
    assert_eq!(
        error.to_string(),
        "send 2001:db8:1::1: Network is unreachable"
    );
    assert_eq!(
        raw.send(&echo).unwrap(),
        Progress::Moved(1),
        "the next one passes"
    );
}

/// Not even packets of the protocol number that it is bound to.
#[test]
fn the_raw_socket_collects_nothing() {
    if !in_own_network("the_raw_socket_collects_nothing") {
        return;
    }
    let raw: Socket = Raw::open(EchoPath::Native).unwrap().into();
    let sender: OwnedFd = Raw::open(EchoPath::Native).unwrap();
    let sender: Socket = sender.into();
    let mut packet = [0; 48];
    packet[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 8, 255, 64]);
    packet[23] = 1;
    packet[39] = 1;
    let to = SocketAddrV6::new("::1".parse().unwrap(), 0, 0, 0);
    sender.send_to(&packet, &to.into()).unwrap();
    // Loopback delivers before the call returns: a watcher of protocol 255 without the filter has it by now.
    let error = raw.recv(&mut [MaybeUninit::uninit(); 100]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

/// The C server asks by fcntl(2), and another copy of this one by either.
#[test]
fn a_locked_file_is_locked_for_flock_and_for_fcntl() {
    let path = std::env::temp_dir().join(format!("miredo-lock-{}", std::process::id()));
    let open = || {
        File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .unwrap()
    };
    let (first, second) = (open(), open());
    let lock = |kind: libc::c_int| libc::flock {
        l_type: kind as _,
        l_whence: libc::SEEK_SET as _,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // A lock of the process does not see another of the same process, but it sees one of an opened file.
    let by_process = |kind| fcntl(&second, FcntlArg::F_SETLK(&lock(kind)));
    lock_file(&first).unwrap();
    assert_eq!(by_process(libc::F_WRLCK), Err(Errno::EAGAIN));
    assert_eq!(
        lock_file(&second).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    drop(first);
    by_process(libc::F_WRLCK).unwrap();
    let first = open();
    assert_eq!(lock_file(&first).unwrap_err().kind(), ErrorKind::WouldBlock);
    by_process(libc::F_UNLCK).unwrap();
    lock_file(&first).unwrap();
    std::fs::remove_file(&path).unwrap();
}

//! What `UdpPair` promises, asked of each backend over loopback. Elsewhere than on Linux that has to be given two addresses more, or
//! the tests are skipped: `ifconfig lo0 alias 127.0.0.2 netmask 255.255.255.255` and the same for 127.0.0.3.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests report by panicking"
)]

#[path = "common/mod.rs"]
mod common;
#[path = "common/readable.rs"]
mod readable;

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use miredo_platform::udp::{Mover, SocketPair};
use miredo_platform::{
    Attached, BATCH, DATAGRAM_MAX, Endpoint, Here, Inbox, NeighbourShare, Outbox, PairSockets,
    Progress, UdpPair, Via,
};
use nix::poll::{PollFd, PollFlags, poll};
use readable::{PATIENCE, readable};
use socket2::SockRef;

const PRIMARY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const SECONDARY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// One pair and where it listens.
struct Subject<M> {
    pair: SocketPair<Here, M>,
    primary: SocketAddrV4,
    secondary: SocketAddrV4,
    inbox: Inbox,
}

impl<M: Mover> Subject<M> {
    fn new() -> Self {
        Self::of(open())
    }

    fn of(sockets: PairSockets) -> Self {
        let primary = address(&sockets.primary);
        let secondary = address(sockets.secondary.as_ref().unwrap());
        Self {
            pair: SocketPair::new(sockets, Attached::default(), NeighbourShare::WHOLE).unwrap(),
            primary,
            secondary,
            inbox: Inbox::new(),
        }
    }

    /// Waits for readiness and receives, until `count` datagrams were there.
    fn receive(&mut self, count: usize) -> Vec<(Via, SocketAddrV4, Vec<u8>, bool)> {
        let mut all = Vec::new();
        while all.len() < count {
            readable(&mut self.pair).unwrap();
            if let Progress::Moved(moved) = self.pair.receive(&mut self.inbox).unwrap() {
                assert_eq!(moved, self.inbox.len());
                assert!((1..=BATCH).contains(&moved));
            }
            all.extend(
                self.inbox
                    .iter()
                    .map(|got| (got.via, got.from, got.bytes.to_vec(), got.truncated)),
            );
        }
        assert_eq!(all.len(), count);
        all
    }
}

fn open() -> PairSockets {
    let sockets = Endpoint::open_pairs(PRIMARY, Some(SECONDARY), 0, ONE)
        .unwrap()
        .remove(0);
    // By default a socket of NetBSD holds 82 datagrams of one octet.
    for socket in [&sockets.primary, sockets.secondary.as_ref().unwrap()] {
        SockRef::from(socket)
            .set_recv_buffer_size(128 << 10)
            .unwrap();
    }
    sockets
}

/// Whether this host has the addresses that these tests want.
fn has_addresses() -> bool {
    let missing = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
        .into_iter()
        .find(|address| UdpSocket::bind((*address, 0)).is_err());
    if let Some(address) = missing {
        common::skip(&format!("needs {address}: ifconfig lo0 alias {address}"));
    }
    missing.is_none()
}

fn address(socket: &impl AsFd) -> SocketAddrV4 {
    let address = SockRef::from(&socket.as_fd()).local_addr().unwrap();
    address.as_socket_ipv4().unwrap()
}

/// Waits for a datagram at a socket. Elsewhere than on Linux it takes its time, even to this host; those of one sender come in
/// order.
fn arrived(socket: &impl AsFd) {
    let mut entries = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut entries, 10_000_u16), Ok(1));
}

/// A peer whose reads end in an error rather than never.
fn client() -> (UdpSocket, SocketAddrV4) {
    let client = UdpSocket::bind("127.0.0.3:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = address(&client);
    (client, address)
}

fn put(outbox: &mut Outbox, via: Via, to: SocketAddrV4, bytes: &[u8]) {
    outbox.free().unwrap()[..bytes.len()].copy_from_slice(bytes);
    outbox.push(via, to, bytes.len());
}

fn get(client: &UdpSocket) -> (Vec<u8>, std::net::SocketAddr) {
    let mut buffer = [0; 4096];
    let (length, from) = client.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

fn tells_source_and_address<M: Mover>() {
    let mut subject = Subject::<M>::new();
    let (client, from) = client();
    client.send_to(b"to the primary", subject.primary).unwrap();
    assert_eq!(
        subject.receive(1),
        [(Via::Primary, from, b"to the primary".to_vec(), false)]
    );
    client.send_to(b"", subject.secondary).unwrap();
    assert_eq!(subject.receive(1), [(Via::Secondary, from, vec![], false)]);
    assert_eq!(
        subject.pair.receive(&mut subject.inbox).unwrap(),
        Progress::WouldBlock
    );
    assert!(subject.inbox.is_empty());
}

fn a_cut_one_is_truncated<M: Mover>() {
    let mut subject = Subject::<M>::new();
    let (client, from) = client();
    let long = [7; 3000];
    let cases = [
        (DATAGRAM_MAX, false),
        (DATAGRAM_MAX + 1, true),
        (3000, true),
        (5, false),
    ];
    for (length, _) in cases {
        client.send_to(&long[..length], subject.primary).unwrap();
    }
    let expected = cases.map(|(length, truncated)| {
        let kept = long[..length.min(DATAGRAM_MAX)].to_vec();
        (Via::Primary, from, kept, truncated)
    });
    assert_eq!(subject.receive(cases.len()), expected);
}

/// More than a batch arrives in order.
fn a_long_queue_keeps_order<M: Mover>() {
    let mut subject = Subject::<M>::new();
    let (client, _) = client();
    for number in 0..100_u8 {
        client.send_to(&[number], subject.primary).unwrap();
        client.send_to(&[number], subject.secondary).unwrap();
    }
    let all = subject.receive(200);
    for via in [Via::Primary, Via::Secondary] {
        let numbers = all.iter().filter(|got| got.0 == via).map(|got| got.2[0]);
        assert!(numbers.eq(0..100), "{via:?}");
    }
}

/// A flood does not starve the other address.
fn a_flood_starves_nobody<M: Mover>() {
    for flooded in [Via::Primary, Via::Secondary] {
        let sockets = open();
        let quiet = match flooded {
            Via::Primary => sockets.secondary.as_ref().unwrap(),
            Via::Secondary => &sockets.primary,
        };
        let quiet = quiet.try_clone().unwrap();
        let mut subject = Subject::<M>::of(sockets);
        let (client, _) = client();
        let (flooded_at, quiet_at) = match flooded {
            Via::Primary => (subject.primary, subject.secondary),
            Via::Secondary => (subject.secondary, subject.primary),
        };
        for _ in 0..3 * BATCH {
            client.send_to(b"flood", flooded_at).unwrap();
        }
        client.send_to(b"quiet", quiet_at).unwrap();
        arrived(&quiet);
        let found = (0..2).any(|_| {
            subject.pair.receive(&mut subject.inbox).unwrap();
            subject.inbox.iter().any(|got| got.via == flooded.other())
        });
        assert!(found, "flooded {flooded:?}");
    }
}

/// A full outbox leaves by both addresses.
fn a_full_outbox_leaves<M: Mover>() {
    let mut subject = Subject::<M>::new();
    let (client, to) = client();
    let mut outbox = Outbox::new();
    for number in 0..BATCH {
        let via = if number % 3 == 0 {
            Via::Secondary
        } else {
            Via::Primary
        };
        put(&mut outbox, via, to, &vec![number as u8; number]);
    }
    let report = subject.pair.send(&outbox);
    assert_eq!(
        (report.sent, report.would_block, report.failed),
        (BATCH, 0, 0)
    );
    let mut lengths: Vec<_> = (0..BATCH)
        .map(|_| {
            let (bytes, from) = get(&client);
            let number = bytes.len();
            assert!(bytes.iter().all(|byte| usize::from(*byte) == number));
            let via = if number % 3 == 0 {
                subject.secondary
            } else {
                subject.primary
            };
            assert_eq!(from, via.into(), "datagram {number}");
            number
        })
        .collect();
    lengths.sort_unstable();
    assert!(lengths.into_iter().eq(0..BATCH));
}

/// A refused datagram does not stop the rest.
fn a_refusal_stops_nothing<M: Mover>() {
    let mut subject = Subject::<M>::new();
    let (client, to) = client();
    // Refused with EACCES, since the socket may not broadcast (ip(7)); or for want of a route.
    let broadcast = SocketAddrV4::new(Ipv4Addr::BROADCAST, 9);
    let mut outbox = Outbox::new();
    for (number, to) in [broadcast, to, broadcast, broadcast, to]
        .into_iter()
        .enumerate()
    {
        put(&mut outbox, Via::Primary, to, &[number as u8]);
    }
    put(&mut outbox, Via::Secondary, to, &[5]);
    let report = subject.pair.send(&outbox);
    assert_eq!((report.sent, report.would_block, report.failed), (3, 0, 3));
    let error = report.error.unwrap().1.raw_os_error();
    assert!(error == Some(libc::EACCES) || !cfg!(target_os = "linux"));
    let arrived = [(); 3].map(|()| get(&client).0);
    assert_eq!(arrived, [[1], [4], [5]]);
}

/// One address mode has no secondary.
fn one_address_has_no_second<M: Mover>() {
    let sockets = Endpoint::open_pairs(PRIMARY, None, 0, ONE)
        .unwrap()
        .remove(0);
    assert!(sockets.secondary.is_none());
    let mut pair =
        SocketPair::<Here, M>::new(sockets, Attached::default(), NeighbourShare::WHOLE).unwrap();
    let (client, to) = client();
    let mut outbox = Outbox::new();
    put(&mut outbox, Via::Secondary, to, b"no");
    put(&mut outbox, Via::Primary, to, b"yes");
    let report = pair.send(&outbox);
    assert_eq!((report.sent, report.would_block, report.failed), (1, 0, 1));
    assert_eq!(get(&client).0, b"yes");
}

/// The system tells an ICMP error to an unconnected socket only if asked to (ip(7), IP_RECVERR); other systems, other
/// rules. The second round asks, so that the error really comes.
fn icmp_errors_stay_below<M: Mover>() {
    for asked in [false, true] {
        let sockets = open();
        if asked {
            set_receive_errors(&sockets);
        }
        let mut subject = Subject::<M>::of(sockets);
        let (client, from) = client();
        let closed = {
            let (_gone, address) = self::client();
            address
        };
        let mut outbox = Outbox::new();
        put(
            &mut outbox,
            Via::Primary,
            closed,
            b"provokes port unreachable",
        );
        for _ in 0..3 {
            subject.pair.send(&outbox);
        }
        client.send_to(b"still here", subject.primary).unwrap();
        let got = subject.receive(1);
        assert_eq!(got, [(Via::Primary, from, b"still here".to_vec(), false)]);
    }
}

#[cfg(target_os = "linux")]
fn set_receive_errors(sockets: &PairSockets) {
    use nix::sys::socket::{setsockopt, sockopt};
    setsockopt(&sockets.primary, sockopt::Ipv4RecvErr, &true).unwrap();
}

#[cfg(not(target_os = "linux"))]
fn set_receive_errors(_: &PairSockets) {}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Readiness comes with datagrams only.
fn readiness_means_datagrams<M: Mover>() {
    for via in [Via::Primary, Via::Secondary] {
        let mut subject = Subject::<M>::new();
        let (client, from) = client();
        let progress = subject.pair.receive(&mut subject.inbox).unwrap();
        assert_eq!(progress, Progress::WouldBlock);
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        assert!(subject.pair.poll_readable(&mut context).is_pending());
        // What wakes another pair has passed the reactor after whatever was wrongly due here.
        let mut other = Subject::<M>::new();
        client.send_to(b"other", other.primary).unwrap();
        other.receive(1);
        client.send_to(b"other", other.primary).unwrap();
        other.receive(1);
        assert_eq!(count.0.load(Ordering::SeqCst), 0);

        let to = match via {
            Via::Primary => subject.primary,
            Via::Secondary => subject.secondary,
        };
        client.send_to(b"wake", to).unwrap();
        assert_eq!(subject.receive(1), [(via, from, b"wake".to_vec(), false)]);

        // Read empty again: the next wait must wait, and wake again. What the reactor saw before that read may be told once.
        if subject.pair.poll_readable(&mut context).is_ready() {
            let progress = subject.pair.receive(&mut subject.inbox).unwrap();
            assert_eq!(progress, Progress::WouldBlock);
            assert!(subject.pair.poll_readable(&mut context).is_pending());
        }
        client.send_to(b"again", to).unwrap();
        assert_eq!(subject.receive(1).len(), 1);
    }
}

/// What arrives between receive and poll is noticed.
fn no_arrival_is_missed<M: Mover>() {
    let mut subject = Subject::<M>::new();
    let (client, _) = client();
    for round in 0..100_u8 {
        client.send_to(&[round], subject.primary).unwrap();
        subject.receive(1);
        client.send_to(&[round], subject.secondary).unwrap();
        readable(&mut subject.pair).unwrap();
        assert_eq!(subject.receive(1)[0].0, Via::Secondary);
    }
}

/// A worker's sockets move to its thread.
fn is_send<M: Mover + Send>() {
    fn check(_: impl Send) {}
    check(Subject::<M>::new().pair);
}

macro_rules! suite {
    ($($property:ident,)*) => {
        mod fast {
            $(#[test] fn $property() {
                if super::has_addresses() { super::$property::<miredo_platform::FastMover>() }
            })*
        }
        mod plain {
            $(#[test] fn $property() {
                if super::has_addresses() { super::$property::<miredo_platform::udp::Plain>() }
            })*
        }
    };
}

suite! {
    tells_source_and_address,
    a_cut_one_is_truncated,
    a_long_queue_keeps_order,
    a_flood_starves_nobody,
    a_full_outbox_leaves,
    a_refusal_stops_nothing,
    one_address_has_no_second,
    icmp_errors_stay_below,
    readiness_means_datagrams,
    no_arrival_is_missed,
    is_send,
}

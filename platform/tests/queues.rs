//! What waits in the kernel on Linux, and what is dropped there.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests report by panicking"
)]

use std::future::poll_fn;
use std::net::{Ipv4Addr, UdpSocket};
use std::num::NonZeroUsize;

use async_io::block_on;
use miredo_platform::udp::{Mover, Plain, SocketPair};
use miredo_platform::{Endpoint, FastMover, Here, Inbox, Progress, UdpPair, Via};
use socket2::SockRef;

const ONE: NonZeroUsize = NonZeroUsize::MIN;

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
        block_on(poll_fn(|context| pair.poll_readable(context))).unwrap();
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
    let mut pair = SocketPair::<Here, M>::new(sockets).unwrap();
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

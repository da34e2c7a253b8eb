//! Confinement as every system has it: the process proves it to itself, and works on.

use std::future::poll_fn;
use std::net::{Ipv4Addr, UdpSocket};
use std::num::NonZeroUsize;

use async_io::block_on;
use miredo_platform::{
    Attached, EchoPath, Endpoint, Identity, Inbox, NeighbourShare, Outbox, Progress, Raw,
    RootDirectory, Udp, UdpPair, Via, confine,
};
use nix::unistd::{Gid, Uid};

use crate::{assert_success, output};

/// nobody of every system: 65534, but 32767 on OpenBSD and NetBSD, -2 on macOS. Any number does.
const NOBODY: u32 = 32767;

pub(crate) fn serving() {
    assert_success(&output("a_confined_process_serves", ""));
}

/// What a worker does, from its sockets to the first answer. On OpenBSD a call that was not promised ends the process.
pub(crate) fn confine_and_serve() {
    let mut pairs = Endpoint::open_pairs(Ipv4Addr::LOCALHOST, None, 0, NonZeroUsize::MIN).unwrap();
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let raw = Raw::share(&Raw::open(EchoPath::Native).unwrap()).unwrap();
    let pair = pairs.remove(0);
    let server = socket2::SockRef::from(&pair.primary).local_addr().unwrap();
    let server = server.as_socket().unwrap();
    let identity = Identity {
        uid: Uid::from_raw(NOBODY),
        gid: Gid::from_raw(NOBODY),
    };
    confine(&identity, &RootDirectory::Private).unwrap();

    let _raw = Raw::new(raw, Attached::default(), 1).unwrap();
    let mut udp = Udp::new(pair, Attached::default(), NeighbourShare::WHOLE).unwrap();
    peer.send_to(b"question", server).unwrap();
    let mut inbox = Inbox::new();
    let from = receive(&mut udp, &mut inbox);
    let mut outbox = Outbox::new();
    outbox.free().unwrap()[..6].copy_from_slice(b"answer");
    outbox.push(Via::Primary, from, 6);
    assert_eq!(udp.send(&outbox).sent, 1);
    let mut answer = [0; 10];
    assert_eq!(peer.recv(&mut answer).unwrap(), 6);
}

/// Waits with the reactor, and the thread that it starts.
fn receive(udp: &mut Udp, inbox: &mut Inbox) -> std::net::SocketAddrV4 {
    loop {
        if udp.receive(inbox).unwrap() == Progress::Moved(1) {
            return inbox.iter().next().unwrap().from;
        }
        block_on(poll_fn(|context| udp.poll_readable(context))).unwrap();
    }
}

pub(crate) fn root_refused() {
    let output = output("root_is_no_identity", "");
    assert_success(&output);
}

pub(crate) fn confine_as_root() {
    for (uid, gid) in [(0, NOBODY), (NOBODY, 0)] {
        let identity = Identity {
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
        };
        let error = confine(&identity, &RootDirectory::Private).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "confine to uid {uid} gid {gid}: a process cannot be confined to root; name an ordinary user"
            )
        );
        assert!(Uid::current().is_root(), "refused before anything changed");
    }
}

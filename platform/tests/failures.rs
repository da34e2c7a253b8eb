//! Sockets that fail to receive: said when it goes on, tried again, and no matter of the other address.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests report by panicking"
)]

mod common;
#[path = "common/readable.rs"]
mod readable;

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use miredo_platform::udp::{Mover, Plain, SocketPair};
use miredo_platform::{
    Attached, Endpoint, Here, Inbox, NeighbourShare, Outgoing, PairSockets, Progress, SendReport,
    UdpPair, Via,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use readable::readable;
use socket2::SockRef;

const PRIMARY: Ipv4Addr = Ipv4Addr::LOCALHOST;
const SECONDARY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What [`Failing`] says in this thread of the sockets of either address: an error, or with `None` what the system says.
type Script = Box<dyn FnMut(Via) -> Option<Errno>>;

thread_local! {
    static SCRIPT: RefCell<Script> = RefCell::new(Box::new(|_| None));
}

/// Fails as the script says.
#[derive(Default)]
struct Failing(Plain);

impl Mover for Failing {
    fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        via: Via,
        inbox: &mut Inbox,
    ) -> io::Result<usize> {
        match SCRIPT.with_borrow_mut(|script| script(via)) {
            Some(error) => Err(error.into()),
            None => self.0.receive(socket, via, inbox),
        }
    }

    fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = Outgoing<'a>>,
        retries: usize,
        report: &mut SendReport,
    ) {
        self.0.send(socket, datagrams, retries, report);
    }
}

fn fail_always(via: Via, error: Errno) {
    SCRIPT.set(Box::new(move |of| (of == via).then_some(error)));
}

fn fail_once(error: Errno) {
    let mut error = Some(error);
    SCRIPT.set(Box::new(move |_| error.take()));
}

fn fail_no_more() {
    SCRIPT.set(Box::new(|_| None));
}

fn open(secondary: Option<Ipv4Addr>) -> PairSockets {
    Endpoint::open_pairs(PRIMARY, secondary, 0, NonZeroUsize::MIN)
        .unwrap()
        .remove(0)
}

fn pair<M: Mover>(sockets: PairSockets) -> SocketPair<Here, M> {
    SocketPair::new(sockets, Attached::default(), NeighbourShare::WHOLE).unwrap()
}

fn address(socket: &impl AsFd) -> SocketAddrV4 {
    let address = SockRef::from(&socket.as_fd()).local_addr().unwrap();
    address.as_socket_ipv4().unwrap()
}

/// Receives once there is something.
fn receive<M: Mover>(
    pair: &mut SocketPair<Here, M>,
    inbox: &mut Inbox,
) -> Result<Progress, String> {
    readable(pair).unwrap();
    pair.receive(inbox).map_err(|error| error.to_string())
}

/// What the system calls an error of the moment is one as long as it is. The number of attempts is bounded, so a pair that never says
/// a word fails.
#[test]
fn a_lasting_failure_is_told() {
    let sockets = open(None);
    let to = address(&sockets.primary);
    let mut pair = pair::<Failing>(sockets);
    let mut inbox = Inbox::new();
    let client = UdpSocket::bind((PRIMARY, 0)).unwrap();
    for error in [
        Errno::EPERM,
        Errno::EACCES,
        Errno::ENOMEM,
        Errno::ENOBUFS,
        Errno::EINTR,
    ] {
        client.send_to(b"waits", to).unwrap();
        fail_always(Via::Primary, error);
        let outcomes: Vec<_> = (0..100).map(|_| receive(&mut pair, &mut inbox)).collect();
        assert_eq!(outcomes[0], Ok(Progress::WouldBlock), "{error}");
        let told = outcomes[99].as_ref().unwrap_err();
        assert!(told.starts_with(&format!("receive {to}: ")), "{told}");
        fail_no_more();
        assert_eq!(receive(&mut pair, &mut inbox), Ok(Progress::Moved(1)));
        // What is seen now and then is of the moment, however often.
        for _ in 0..100 {
            client.send_to(b"goes on", to).unwrap();
            fail_once(error);
            assert_eq!(receive(&mut pair, &mut inbox), Ok(Progress::WouldBlock));
            assert_eq!(receive(&mut pair, &mut inbox), Ok(Progress::Moved(1)));
        }
    }
    client.send_to(b"lost", to).unwrap();
    fail_once(Errno::EBADF);
    receive(&mut pair, &mut inbox).unwrap_err();
}

/// An address whose socket fails silences no other.
#[test]
fn a_failure_silences_no_other() {
    if UdpSocket::bind((SECONDARY, 0)).is_err() {
        return common::skip(&format!(
            "needs {SECONDARY}: ifconfig lo0 alias {SECONDARY}"
        ));
    }
    let sockets = open(Some(SECONDARY));
    let ends = [&sockets.primary, sockets.secondary.as_ref().unwrap()];
    let [primary, secondary] = ends.map(address);
    let waiting = ends.map(|end| end.try_clone().unwrap());
    let mut pair = pair::<Failing>(sockets);
    let mut inbox = Inbox::new();
    let client = UdpSocket::bind((PRIMARY, 0)).unwrap();
    // Of two calls the first fails, for either address, as they take turns.
    for (failing, other) in [(primary, secondary), (secondary, primary)] {
        for to in [failing, other] {
            client.send_to(to.to_string().as_bytes(), to).unwrap();
        }
        waiting.iter().for_each(until_readable);
        fail_once(Errno::EBADF);
        for expected in [other, failing] {
            let progress = receive(&mut pair, &mut inbox);
            assert_eq!(progress, Ok(Progress::Moved(1)), "{expected}");
            let received = inbox.iter().next().unwrap();
            assert_eq!(received.bytes, expected.to_string().as_bytes());
        }
        // Now it is the turn of the other one.
        assert_eq!(pair.receive(&mut inbox).unwrap(), Progress::WouldBlock);
    }
    // One that fails for ever, before the other has anything to read.
    fail_always(Via::Primary, Errno::EBADF);
    client.send_to(b"lost", primary).unwrap();
    receive(&mut pair, &mut inbox).unwrap_err();
    client.send_to(b"found", secondary).unwrap();
    until_readable(&waiting[1]);
    let found = (0..4).any(|_| receive(&mut pair, &mut inbox) == Ok(Progress::Moved(1)));
    assert!(found);
}

fn until_readable(socket: &OwnedFd) {
    let mut entry = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut entry, PollTimeout::from(10_000_u16)), Ok(1));
}

/// Under a filter of system calls that somebody else made, on those processors that seccompiler knows.
#[cfg(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )
))]
mod filter {
    use std::thread;

    use miredo_platform::FastMover;
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

    use super::*;

    /// Answers `error` to every call that receives, in this thread, as the filter of a container or of a service's unit may.
    fn forbid_receiving(error: Errno) {
        let calls = [libc::SYS_recvmmsg, libc::SYS_recvmsg, libc::SYS_recvfrom];
        let filter = SeccompFilter::new(
            calls.map(|call| (call, Vec::new())).into(),
            SeccompAction::Allow,
            SeccompAction::Errno(error as u32),
            std::env::consts::ARCH.try_into().unwrap(),
        );
        let filter: BpfProgram = filter.unwrap().try_into().unwrap();
        nix::sys::prctl::set_no_new_privs().unwrap();
        seccompiler::apply_filter(&filter).unwrap();
    }

    fn is_told<M: Mover + Send>() {
        let forbidden = "not permitted; let the filter of system calls";
        for (error, reason) in [
            (Errno::EPERM, forbidden),
            (Errno::EACCES, forbidden),
            (Errno::ENOMEM, "Cannot allocate memory"),
        ] {
            let sockets = open(None);
            let to = address(&sockets.primary);
            let mut pair = pair::<M>(sockets);
            let mut inbox = Inbox::new();
            let client = UdpSocket::bind((PRIMARY, 0)).unwrap();
            client.send_to(b"waits", to).unwrap();
            // The filter stays with the thread.
            let told = thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    forbid_receiving(error);
                    (0..100).find_map(|_| receive(&mut pair, &mut inbox).err())
                });
                thread.join().unwrap()
            });
            let told = told.unwrap_or("no error".to_owned());
            assert!(
                told.starts_with(&format!("receive {to}: {reason}")),
                "{told}"
            );
        }
    }

    #[test]
    fn is_told_fast() {
        is_told::<FastMover>();
    }

    #[test]
    fn is_told_plain() {
        is_told::<Plain>();
    }
}

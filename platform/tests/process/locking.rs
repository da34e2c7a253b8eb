//! A worker that was taken over: each call that it never makes ends it, and each that it needs still works.

use std::future::poll_fn;
use std::io::Read;
use std::net::{Ipv4Addr, UdpSocket};
use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt;
use std::thread;

use async_io::block_on;
use miredo_platform::accelerator::Accelerator;
use miredo_platform::{
    Alarm, Attached, Confined, Endpoint, Here, Identity, Inbox, NeighbourShare, Outbox, Progress,
    RootDirectory, Udp, UdpPair, Via, Work, confine, lock_down, restrict_monitor,
};
use nix::unistd::{Gid, Uid};

use crate::watching::{Waiting, wait_confined};
use crate::{CHILD, child, output};

/// A call, and what makes it. None may return.
const FORBIDDEN: &[(&str, fn())] = &[
    ("socket", || {
        // SAFETY: three numbers.
        unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) };
    }),
    ("bind", || {
        // SAFETY: a null pointer of length 0, which the kernel would refuse.
        unsafe { libc::bind(3, std::ptr::null(), 0) };
    }),
    ("connect", || {
        // SAFETY: as above.
        unsafe { libc::connect(3, std::ptr::null(), 0) };
    }),
    ("openat", || {
        let _ = std::fs::File::open("/");
    }),
    ("kill", || {
        // SAFETY: two numbers; signal 0 only asks.
        unsafe { libc::kill(1, 0) };
    }),
    ("tgkill", || {
        // SAFETY: numbers alone.
        unsafe { libc::syscall(libc::SYS_tgkill, 1, 1, 0) };
    }),
    ("ptrace", || {
        // SAFETY: without a process to attach to nothing is read or written.
        unsafe { libc::ptrace(libc::PTRACE_ATTACH, 1, 0, 0) };
    }),
    ("clone", || {
        // SAFETY: without flags it is fork(2), and the child exits at once.
        if unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } == 0 {
            std::process::exit(0);
        }
    }),
    ("clone3", || {
        // SAFETY: a null pointer of length 0, which the kernel would refuse.
        unsafe { libc::syscall(libc::SYS_clone3, 0, 0) };
    }),
    ("execve", || {
        // SAFETY: null pointers, which the kernel would refuse.
        unsafe { libc::syscall(libc::SYS_execve, 0, 0, 0) };
    }),
    ("mmap", || {
        let (none, all) = (std::ptr::null_mut(), libc::PROT_READ | libc::PROT_EXEC);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: memory of its own that nobody uses.
        unsafe { libc::mmap(none, 4096, all, flags, -1, 0) };
    }),
    ("mprotect", || {
        // SAFETY: no page is named.
        unsafe { libc::mprotect(std::ptr::null_mut(), 0, libc::PROT_EXEC) };
    }),
    ("rt_sigaction", || {
        // SAFETY: null pointers ask for nothing.
        unsafe { libc::sigaction(libc::SIGSYS, std::ptr::null(), std::ptr::null_mut()) };
    }),
    ("prctl", || {
        // SAFETY: it only reads a flag.
        unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) };
    }),
    ("setsockopt", || {
        // SAFETY: a null pointer of length 0.
        unsafe { libc::setsockopt(3, libc::SOL_SOCKET, libc::SO_RCVBUF, std::ptr::null(), 0) };
    }),
    ("getsockopt", || {
        // SAFETY: null pointers, which the kernel would refuse.
        unsafe {
            libc::getsockopt(
                3,
                libc::SOL_SOCKET,
                libc::SO_TYPE,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
    }),
    ("unshare", || {
        // SAFETY: a number.
        unsafe { libc::unshare(libc::CLONE_NEWUSER) };
    }),
    ("io_uring_setup", || {
        // SAFETY: a null pointer, which the kernel would refuse.
        unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, 0) };
    }),
];

/// What a worker makes, and an exporter does not.
const OF_A_WORKER: &[(&str, fn())] = &[
    ("recvmmsg", || {
        // SAFETY: no message is named.
        unsafe { libc::recvmmsg(3, std::ptr::null_mut(), 0, 0, std::ptr::null_mut()) };
    }),
    ("sendmsg", || {
        // SAFETY: a null pointer, which the kernel would refuse.
        unsafe { libc::sendmsg(3, std::ptr::null(), 0) };
    }),
    ("epoll_ctl", || {
        // SAFETY: a null pointer, which the kernel would refuse.
        unsafe { libc::epoll_ctl(3, libc::EPOLL_CTL_DEL, 3, std::ptr::null_mut()) };
    }),
];

/// What the name of a call begins with where an exporter is to make it.
const EXPORTER: &str = "exporter ";

pub(crate) fn forbidden_calls() {
    // None is for either work. What one makes and the other does not is for that one.
    let worker = FORBIDDEN
        .iter()
        .map(|(call, _)| (*call, (*call).to_owned()));
    let exporter = FORBIDDEN.iter().chain(OF_A_WORKER).map(|(call, _)| *call);
    let exporter = exporter.map(|call| (call, format!("{EXPORTER}{call}")));
    for (call, argument) in worker.chain(exporter) {
        let output = output("a_forbidden_call_ends_it", &argument);
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(told, format!("[{call}]\n"), "{argument}: {output:?}");
        assert_eq!(output.status.code(), Some(71), "{argument}");
    }
}

pub(crate) fn make_forbidden_call() {
    let call = std::env::args().nth(1).unwrap();
    let (work, call) = match call.strip_prefix(EXPORTER) {
        Some(call) => (Work::Connections, call),
        None => (Work::Datagrams, &*call),
    };
    let mut calls = FORBIDDEN.iter().chain(OF_A_WORKER);
    let (_, make) = calls.find(|(name, _)| *name == call).unwrap();
    let confined = confine(&nobody(), &RootDirectory::Private).unwrap();
    lock(&confined, work);
    make();
}

/// From its first datagram to the end of its threads.
pub(crate) fn needed_calls() {
    let output = output("a_locked_process_serves", "");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{output:?}");
    assert_eq!(told, "");
}

pub(crate) fn serve_locked() {
    let mut pairs = Endpoint::open_pairs(Ipv4Addr::LOCALHOST, None, 0, NonZeroUsize::MIN).unwrap();
    let pair = pairs.remove(0);
    let server = socket2::SockRef::from(&pair.primary).local_addr().unwrap();
    let server = server.as_socket().unwrap();
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (mut here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
    let confined = confine(&nobody(), &RootDirectory::Private).unwrap();
    let mut udp = Udp::new(pair, Attached::default(), NeighbourShare::WHOLE).unwrap();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let serving = thread::spawn(move || {
        gone.recv().unwrap();
        for _ in 0..100 {
            answer(&mut udp);
        }
        // Idle, so that the reactor waits.
        block_on(async_io::Timer::after(std::time::Duration::from_millis(50)));
        answer(&mut udp);
    });
    lock(&confined, Work::Datagrams);
    go.send(()).unwrap();
    for _ in 0..101 {
        peer.send_to(b"question", server).unwrap();
        let mut answer = [0; 10];
        assert_eq!(peer.recv(&mut answer).unwrap(), 6);
    }
    serving.join().unwrap();
    // More than malloc(3) has at hand, from brk(2) and from mmap(2), and back.
    let memory: Vec<Vec<u8>> = (1..100).map(|size| vec![1; size << 14]).collect();
    drop(memory);
    std::io::Write::write_all(&mut here, b"stop").unwrap();
    drop(here);
    let mut word = String::new();
    there.read_to_string(&mut word).unwrap();
    assert_eq!(word, "stop");
}

fn answer(udp: &mut Udp) {
    let mut inbox = Inbox::new();
    while udp.receive(&mut inbox).unwrap() != Progress::Moved(1) {
        block_on(poll_fn(|context| udp.poll_readable(context))).unwrap();
    }
    let from = inbox.iter().next().unwrap().from;
    let mut outbox = Outbox::new();
    outbox.free().unwrap()[..6].copy_from_slice(b"answer");
    outbox.push(Via::Primary, from, 6);
    assert_eq!(udp.send(&outbox).sent, 1);
}

/// As the release profile ends at a panic.
pub(crate) fn aborted() {
    let output = output("a_locked_process_can_abort", "");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
}

pub(crate) fn abort_locked() {
    let confined = confine(&nobody(), &RootDirectory::Private).unwrap();
    lock(&confined, Work::Datagrams);
    std::process::abort();
}

/// capabilities(7): 1, 2, 5, 6, 7, 8, 12, 13, 18 by their numbers in linux/capability.h; with programs for the network driver, 38
/// and 39, too.
const MONITOR: &str = match Here::BUILT_IN {
    true => "000000c0000431e6",
    false => "00000000000431e6",
};

/// What stays root keeps what it needs to reload, replace and stop, and what it executes gets no more.
pub(crate) fn monitor() {
    let child = Waiting::new(child("a_monitor_keeps_little"));
    for set in ["CapEff", "CapPrm"] {
        assert_eq!(child.status(set), MONITOR, "{set}");
    }
    assert_eq!(child.status("NoNewPrivs"), "1");
    child.finish();
}

pub(crate) fn restrict() {
    restrict_monitor(&[]).unwrap();
    let status = std::process::Command::new("grep")
        .args(["-q", &format!("^CapPrm:.*{MONITOR}"), "/proc/self/status"])
        .status();
    assert!(status.unwrap().success());
    wait_confined();
}

/// A process that confines itself while the one that started it lives, and is there no more when that is gone.
pub(crate) fn orphaned() {
    let mut command = child("a_worker_dies_with_its_monitor");
    let output = command.arg("parent").output().unwrap();
    // Standard output is closed by the last that holds it: had the grandchild lived on, there would be no end.
    assert_eq!(String::from_utf8_lossy(&output.stdout), "confined\n");
}

pub(crate) fn orphan() {
    if std::env::args().nth(1).is_none() {
        confine(&nobody(), &RootDirectory::Private).unwrap();
        println!("confined");
        thread::sleep(std::time::Duration::from_secs(60));
        println!("alive");
        return;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .env(CHILD, "a_worker_dies_with_its_monitor")
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut word = [0; 9];
    let out = child.stdout.as_mut().unwrap();
    out.read_exact(&mut word).unwrap();
    print!("{}", String::from_utf8_lossy(&word));
    // Not waited for: that is the point.
    std::mem::forget(child);
}

fn nobody() -> Identity {
    Identity {
        uid: Uid::from_raw(65534),
        gid: Gid::from_raw(65534),
    }
}

fn lock(confined: &Confined, work: Work) {
    let missing = lock_down(
        confined,
        work,
        Alarm {
            descriptor: std::os::fd::AsFd::as_fd(&std::io::stdout())
                .try_clone_to_owned()
                .unwrap(),
            before: b"[".to_vec(),
            after: b"]\n".to_vec(),
        },
    );
    assert!(missing.as_ref().is_ok_and(Vec::is_empty), "{missing:?}");
}

//! Going into the background.

use std::env;
use std::io::{stderr, stdin, stdout};
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::exit;
use std::time::Duration;

use miredo_platform::detach;
use nix::sys::stat::fstat;
use nix::unistd::getsid;

use crate::output;

/// The starter must end while the process in the background goes on. That one tells who it is through a socket.
pub(crate) fn detached() {
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    listener
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let output = output("detached_and_ready", port);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"still heard");

    let mut report = [0; 200];
    let (length, background) = listener.recv_from(&mut report).unwrap();
    let report = String::from_utf8(report[..length].to_vec()).unwrap();
    assert_eq!(report, "leader true, in /, umask 77, null true true true");
    listener.send_to(b"end", background).unwrap();
}

pub(crate) fn detach_and_serve() {
    let port = env::args().nth(1).unwrap();
    let starting = detach().unwrap();
    eprint!("still heard");
    starting.ready().unwrap();
    let umask = nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    let null = nix::sys::stat::stat("/dev/null").unwrap().st_rdev;
    let is_null = |stream: BorrowedFd<'_>| fstat(stream).unwrap().st_rdev == null;
    let report = format!(
        "leader {}, in {}, umask {:o}, null {} {} {}",
        getsid(None) == Ok(nix::unistd::getpid()),
        env::current_dir().unwrap().display(),
        umask.bits(),
        is_null(stdin().as_fd()),
        is_null(stdout().as_fd()),
        is_null(stderr().as_fd()),
    );
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(format!("127.0.0.1:{port}")).unwrap();
    socket.send(report.as_bytes()).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket.recv(&mut [0; 10]).unwrap();
}

pub(crate) fn detached_failing() {
    let output = output("detached_and_failed", "");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stderr, b"what went wrong");
}

pub(crate) fn detach_and_fail() {
    let _starting = detach().unwrap();
    eprint!("what went wrong");
    exit(7);
}

pub(crate) fn detached_killed() {
    let output = output("detached_and_killed", "");
    assert_eq!(
        (output.status.code(), output.status.signal()),
        (Some(1), None)
    );
    assert_eq!(
        output.stderr,
        b"miredo-server: ended by SIGABRT before it served\n"
    );
}

pub(crate) fn detach_and_die() {
    let _starting = detach().unwrap();
    std::process::abort();
}

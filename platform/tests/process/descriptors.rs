//! Descriptors over exec.

use std::env;
use std::io::stdin;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};

use miredo_platform::process::open_descriptors::Descriptors;
use miredo_platform::{Here, Inherited, keep};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::{assert_success, child, output};

pub(crate) fn inherited() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let kept = keep(&socket).unwrap();
    let number = kept.as_raw_fd().to_string();
    assert!(kept.as_raw_fd() >= 3);
    let output = child("inherited_once")
        .args([&number, &socket.as_raw_fd().to_string()])
        .output()
        .unwrap();
    assert_success(&output);
    let mut word = [0; 10];
    let (length, from) = socket.recv_from(&mut word).unwrap();
    assert_eq!(
        (&word[..length], from),
        (&b"it is mine"[..], socket.local_addr().unwrap())
    );
}

pub(crate) fn take_inherited() {
    let numbers: Vec<i32> = env::args()
        .skip(1)
        .map(|word| word.parse().unwrap())
        .collect();
    let (kept, not_kept) = (numbers[0], numbers[1]);
    let mut inherited = Inherited::claim().unwrap();
    Inherited::claim().unwrap_err();
    let told = |error: miredo_platform::OsError| error.to_string();

    let taken: OwnedFd = inherited.take(kept).unwrap();
    let flags = fcntl(&taken, FcntlArg::F_GETFD).unwrap();
    assert_eq!(flags, FdFlag::FD_CLOEXEC.bits());
    let twice = inherited.take(kept).map_err(told).unwrap_err();
    assert_eq!(
        twice,
        format!("inherit descriptor {kept}: not inherited, or already taken")
    );

    fcntl(&taken, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    inherited.take(kept).unwrap_err();

    let own = UdpSocket::bind("127.0.0.1:0").unwrap();
    let not_inherited = inherited.take(own.as_raw_fd()).map_err(told).unwrap_err();
    assert!(not_inherited.ends_with("not inherited, or already taken"));
    drop(own);
    for number in [-1, 0, 1, 2, 900, not_kept] {
        inherited.take(number).unwrap_err();
    }
    keep(&taken).unwrap_err();

    let socket = UdpSocket::from(taken);
    socket
        .send_to(b"it is mine", socket.local_addr().unwrap())
        .unwrap();
}

/// A number that no process has by itself, below what OpenBSD allows by default.
const HIGH: i32 = 99;

pub(crate) fn all_inherited() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let high = fcntl(&socket, FcntlArg::F_DUPFD(HIGH)).unwrap();
    let output = child("all_inherited_are_found")
        .arg(high.to_string())
        .output()
        .unwrap();
    assert_success(&output);
    nix::unistd::close(high).unwrap();
}

pub(crate) fn take_all() {
    let high = env::args().nth(1).unwrap().parse().unwrap();
    let not_inherited = UdpSocket::bind("127.0.0.1:0").unwrap();
    let looked_at = Here::open_descriptors();
    assert!(looked_at.contains(&high), "{looked_at:?}");
    // Each costs system calls: there must not be one for every number that a system allows.
    if !cfg!(target_os = "dragonfly") {
        assert!(looked_at.len() < 200, "{}", looked_at.len());
    }

    let taken = miredo_platform::take_inherited().unwrap();
    let numbers: Vec<i32> = taken.iter().map(AsRawFd::as_raw_fd).collect();
    assert!(numbers.contains(&high), "{numbers:?}");
    assert!(numbers.iter().all(|number| *number > 2), "{numbers:?}");
    assert!(!numbers.contains(&not_inherited.as_raw_fd()));
    let still_open = taken.iter().map(|taken| fcntl(taken, FcntlArg::F_GETFD));
    assert!(
        still_open
            .into_iter()
            .all(|flags| flags == Ok(FdFlag::FD_CLOEXEC.bits()))
    );
}

pub(crate) fn keeper() {
    let output = output("keeping_excludes_claiming", "");
    assert_success(&output);
}

pub(crate) fn keep_and_claim() {
    let kept = keep(&stdin()).unwrap();
    assert!(kept.as_raw_fd() >= 3);
    Inherited::claim().unwrap_err();
}

//! Descriptors over exec.

use std::env;
use std::io::stdin;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};

use miredo_platform::{Inherited, keep};
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

pub(crate) fn keeper() {
    let output = output("keeping_excludes_claiming", "");
    assert_success(&output);
}

pub(crate) fn keep_and_claim() {
    let kept = keep(&stdin()).unwrap();
    assert!(kept.as_raw_fd() >= 3);
    Inherited::claim().unwrap_err();
}

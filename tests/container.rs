//! What a container may leave out: /proc, and the ids of the server's user. Linux alone.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![cfg(target_os = "linux")]
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use harness::{Client, DEADLINE, Scratch, Server, addresses, may_run, output, root};
use nix::sys::signal::Signal;

fn may_unshare() -> bool {
    root() && may_run(Path::new("/usr/bin/unshare").exists(), "needs unshare(1)")
}

/// unshare(1) with these arguments, then the server.
fn unshare(arguments: &[&str], scratch: &Scratch, primary: Ipv4Addr) -> Command {
    let text = format!("ServerBindAddress {primary}\nAllowPrivateAddresses yes\n");
    let config = scratch.write("conf", &text);
    let mut command = Command::new("unshare");
    command
        .args(arguments)
        .arg(scratch.program())
        .arg("-f")
        .arg("-c")
        .arg(config)
        .arg("-p")
        .arg(scratch.path("pid"));
    command
}

/// The C server does, too.
#[test]
fn a_server_without_proc_starts_and_reloads() {
    if !may_unshare() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let without_proc = "mount -t tmpfs none /proc && exec \"$0\" \"$@\"";
    let mut command = unshare(&["-m", "sh", "-c", without_proc], &scratch, primary);
    let mut server = Server::start(&mut command);
    Client::new(primary).ask(primary, 1);
    server.signal(Signal::SIGHUP);
    server.expect("reloaded");
    Client::new(primary).ask(primary, 2);
    server.stop();
}

fn refused(ended: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
}

/// In which root is root alone.
#[test]
fn a_user_namespace_of_one_id() {
    if !may_unshare() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut command = unshare(&["--user", "--map-root-user"], &scratch, primary);
    let words = ["setgroups none: not permitted", "user_namespaces(7)"];
    refused(&output(&mut command), &words);
}

/// In which nobody is `nobody`.
#[test]
fn a_user_namespace_without_the_user() {
    if !may_unshare() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let when_mapped = "read _ && exec \"$0\" \"$@\"";
    let mut child = unshare(&["--user", "sh", "-c", when_mapped], &scratch, primary)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let home = Path::new("/proc").join(child.id().to_string());
    let namespace = |home: &Path| fs::read_link(home.join("ns/user")).unwrap();
    let outside = namespace(Path::new("/proc/self"));
    let deadline = Instant::now() + DEADLINE;
    while namespace(&home) == outside {
        assert!(Instant::now() < deadline, "unshare does nothing");
        std::thread::yield_now();
    }
    for map in ["uid_map", "gid_map"] {
        fs::write(home.join(map), "0 0 1000").unwrap();
    }
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let words = ["setgid 65534: no such id in this user namespace; root needs"];
    refused(&child.wait_with_output().unwrap(), &words);
}

//! What a running server tells of what it does. Needs root.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use harness::{Client, Scratch, Server, addresses, root, secondary_of};
use nix::sys::signal::{Signal, kill};

fn start(scratch: &Scratch, primary: Ipv4Addr) -> Server {
    let secondary = secondary_of(primary);
    let text =
        format!("ServerBindAddress {primary}\n{secondary}AllowPrivateAddresses yes\nWorkers 2\n");
    let mut command = Command::new(scratch.program());
    command
        .arg("-f")
        .arg("-c")
        .arg(scratch.write("conf", &text));
    Server::start(command.arg("-p").arg(scratch.path("pid")))
}

/// What a killed worker had told stays counted, and what it may not have told is said.
#[test]
fn a_killed_worker_has_told_what_it_did() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut server = start(&scratch, primary);
    let client = Client::new(primary);
    for nonce in 0..3 {
        client.ask(primary, nonce);
    }
    // The first answer is told at once, the others a second later.
    std::thread::sleep(Duration::from_millis(1500));
    kill(server.worker(), Signal::SIGKILL).unwrap();
    let line = server.expect("the worker died");
    assert!(
        line.contains("what it did in its last second may not be counted"),
        "{line}"
    );
    server.expect("serving again");
    client.ask(primary, 3);
    let said = server.stop();
    let last = said.last().unwrap();
    assert!(last.contains("4 datagrams answered or forwarded"), "{last}");
}

/// A worker that has nothing to do, and its monitor, sleep.
#[test]
#[cfg(target_os = "linux")]
fn idle_processes_do_not_wake() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let server = start(&scratch, primary);
    let client = Client::new(primary);
    client.ask(primary, 1);
    client.ask(primary, 2);
    // Two publications, then nothing.
    std::thread::sleep(Duration::from_millis(1500));
    let wakeups = || [switches(server.pid()), switches(server.worker())];
    let before = wakeups();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(wakeups(), before);
    server.stop();
}

/// How often the threads of a process gave a processor away, which each wakeup ends with.
#[cfg(target_os = "linux")]
fn switches(pid: nix::unistd::Pid) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let switches = threads.map(|thread| {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .unwrap();
        line.trim().parse::<u64>().unwrap()
    });
    switches.sum()
}

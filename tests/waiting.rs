//! What a monitor could wait for, and does not: signals are answered while each of them hangs. Needs root.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![cfg_attr(
    not(target_os = "linux"),
    allow(unused_imports, reason = "of what is asked on Linux alone")
)]
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::system::until;
use harness::{Client, Scratch, Server, addresses, root, secondary_of};
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;

/// Far more than an answer takes, and less than any of the waits here lasted when the monitor took part in them.
const SOON: Duration = Duration::from_secs(5);

fn configuration(primary: Ipv4Addr) -> String {
    let secondary = secondary_of(primary);
    format!("ServerBindAddress {primary}\n{secondary}AllowPrivateAddresses yes\nWorkers 1\n")
}

fn start(scratch: &Scratch, primary: Ipv4Addr) -> Server {
    let config = scratch.write("conf", &configuration(primary));
    let mut command = Command::new(scratch.program());
    command.arg("-f").arg("-c").arg(config);
    Server::start(command.arg("-p").arg(scratch.path("pid")))
}

/// A worker that dies is replaced, and the server stops, while it waits for what `hang` has made hang.
fn answers_meanwhile(scratch: &Scratch, mut server: Server, primary: Ipv4Addr) {
    let worker = server.worker();
    server.signal(Signal::SIGHUP);
    std::thread::sleep(Duration::from_millis(100));
    kill(worker, Signal::SIGKILL).unwrap();
    server.expect("the worker died");
    server.expect("serving again");
    Client::new(primary).ask(primary, 1);
    let begin = Instant::now();
    server.stop();
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert!(!scratch.path("pid").exists());
}

/// A configuration that is not written.
#[test]
fn a_configuration_unwritten() {
    if !root() {
        return;
    }
    let (scratch, (primary, _)) = (Scratch::new(), addresses());
    let server = start(&scratch, primary);
    fs::remove_file(scratch.path("conf")).unwrap();
    nix::unistd::mkfifo(&scratch.path("conf"), Mode::from_bits_truncate(0o600)).unwrap();
    // Held open, so that a reader has no end of file.
    let _held = fs::File::options()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(scratch.path("conf"))
        .unwrap();
    answers_meanwhile(&scratch, server, primary);
}

/// A command that is killed while it waits for its configuration leaves no process of root's behind.
#[test]
fn a_reader_alone() {
    let scratch = Scratch::new();
    let config = scratch.path("conf");
    nix::unistd::mkfifo(&config, Mode::from_bits_truncate(0o600)).unwrap();
    let mut command = Command::new(scratch.program());
    let mut server = command.arg("-n").arg("-c").arg(&config).spawn().unwrap();
    // It returns when a reader has the other end.
    let mut written = fs::File::options().write(true).open(&config).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    // SIGPIPE is ignored here: a write fails once nobody reads.
    until("the reader ends", || written.write_all(b"\n").is_err());
}

#[test]
#[cfg(target_os = "linux")]
fn resolvers_that_do_not_answer() {
    if !root() {
        return;
    }
    let (scratch, (primary, _)) = (Scratch::new(), addresses());
    let resolvers = [1, 2, 3].map(|last| Ipv4Addr::new(127, 53, 53, last));
    let _silent = resolvers.map(|resolver| UdpSocket::bind((resolver, 53)).unwrap());
    let lines = resolvers.map(|resolver| format!("nameserver {resolver}\n"));
    let resolv = scratch.write("resolv.conf", &lines.concat());
    let hosts = scratch.write("nsswitch.conf", "passwd: files\ngroup: files\nhosts: dns\n");
    let config = scratch.write("conf", &configuration(primary));
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec"]);
    command.arg("mount --bind \"$1\" /etc/resolv.conf\nmount --bind \"$2\" /etc/nsswitch.conf\nshift 2\nexec \"$@\"");
    command.arg("sh").arg(resolv).arg(hosts);
    command
        .arg(scratch.program())
        .arg("-f")
        .arg("-c")
        .arg(config);
    let server = Server::start(command.arg("-p").arg(scratch.path("pid")));
    scratch.write("conf", "ServerBindAddress server.example.\n");
    answers_meanwhile(&scratch, server, primary);
}

#[test]
fn a_worker_that_is_stopped() {
    if !root() {
        return;
    }
    let (scratch, (primary, _)) = (Scratch::new(), addresses());
    let mut server = start(&scratch, primary);
    let worker = server.worker();
    kill(worker, Signal::SIGSTOP).unwrap();
    // Its successor serves, though it does not take its leave.
    server.signal(Signal::SIGHUP);
    server.expect("reloaded");
    Client::new(primary).ask(primary, 1);
    kill(server.worker(), Signal::SIGSTOP).unwrap();
    let begin = Instant::now();
    server.stop();
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert!(kill(worker, None).is_err(), "it is gone, too");
}

#[test]
#[cfg(target_os = "linux")]
fn a_log_that_nobody_reads() {
    if !root() {
        return;
    }
    let (scratch, (primary, _)) = (Scratch::new(), addresses());
    scratch.write("conf", &configuration(primary));
    fs::create_dir(scratch.path("dev")).unwrap();
    let _log = UnixDatagram::bind(scratch.path("dev/log")).unwrap();
    fs::set_permissions(scratch.path("dev/log"), PermissionsExt::from_mode(0o666)).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec"]);
    command.arg(
        "mknod -m 666 \"$1/dev/null\" c 1 3\nmount --bind \"$1/dev\" /dev\nshift\nexec \"$@\"",
    );
    command.arg("sh").arg(scratch.path("").as_os_str());
    command
        .arg(scratch.program())
        .arg("-c")
        .arg(scratch.path("conf"));
    let started = command.arg("-p").arg(scratch.path("pid")).status().unwrap();
    assert!(started.success());
    let pid = fs::read_to_string(scratch.path("pid")).unwrap();
    let pid = nix::unistd::Pid::from_raw(pid.trim().parse().unwrap());
    // Each reload says a line; a socket of Linux holds eleven (net.unix.max_dgram_qlen).
    for _ in 0..20 {
        kill(pid, Signal::SIGHUP).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    Client::new(primary).ask(primary, 1);
    kill(pid, Signal::SIGTERM).unwrap();
    let begin = Instant::now();
    while scratch.path("pid").exists() {
        assert!(begin.elapsed() < SOON, "still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// With fewer descriptors allowed than it waits for, poll(2) fails at once, every time.
#[test]
#[cfg(target_os = "linux")]
fn a_wait_that_fails() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut server = start(&scratch, primary);
    let allow = |server: &Server, descriptors: u32| {
        let pid = server.pid().to_string();
        let mut command = Command::new("prlimit");
        command.args(["--pid", &pid, &format!("--nofile={descriptors}:")]);
        assert!(command.status().unwrap().success());
    };
    allow(&server, 1);
    server.signal(Signal::SIGHUP);
    server.expect("not reloaded");
    // It may have come before, once the limit held.
    if !server.seen.iter().any(|line| line.contains("poll: ")) {
        server.expect("poll: ");
    }
    Client::new(primary).ask(primary, 1);
    allow(&server, 1024);
    server.signal(Signal::SIGHUP);
    server.expect("reloaded, serving");
    let said = server.stop();
    let polls = said.iter().filter(|line| line.contains("poll: ")).count();
    assert_eq!(polls, 1, "{said:#?}");
}

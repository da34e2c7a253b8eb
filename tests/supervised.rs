//! The server as a service manager starts it: in the foreground, with a socket for what it has to tell.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;

use std::os::unix::net::UnixDatagram;
use std::process::Command;

#[cfg(target_os = "linux")]
use harness::root;
use harness::{DEADLINE, Scratch, Server, addresses};
use nix::sys::signal::Signal;

fn received(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 2048];
    let len = socket.recv(&mut bytes).expect("a datagram");
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}

fn socket(scratch: &Scratch, name: &str) -> UnixDatagram {
    let socket = UnixDatagram::bind(scratch.path(name)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// Ready once it serves, again after a reload, and stopping (sd_notify(3)).
#[test]
fn the_manager_is_told() {
    let scratch = Scratch::new();
    let manager = socket(&scratch, "notify");
    let (primary, secondary) = addresses();
    let mut command = Command::new(scratch.program());
    command
        .env("NOTIFY_SOCKET", scratch.path("notify"))
        .arg("--local")
        .arg(primary.to_string());
    let server = Server::start(&mut command);
    let serving = format!("READY=1\nSTATUS=serving {primary}");
    let first = received(&manager);
    assert!(first.starts_with(&serving), "{first}");
    if harness::has(secondary) {
        assert!(first.contains(&secondary.to_string()), "{first}");
    }
    server.signal(Signal::SIGHUP);
    assert_eq!(received(&manager), first);
    server.stop();
    assert_eq!(received(&manager), "STOPPING=1\n");
}

/// A server that serves does not end because nobody hears of it.
#[test]
fn a_manager_that_is_gone() {
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut command = Command::new(scratch.program());
    command
        .env("NOTIFY_SOCKET", scratch.path("nothing"))
        .arg("--local")
        .arg(primary.to_string());
    let mut server = Server::start(&mut command);
    server.expect("cannot tell the service manager");
    server.stop();
}

/// A manager that reads nothing, and whose socket is full, holds nothing up. It is told when it reads again.
#[cfg(target_os = "linux")]
#[test]
fn a_manager_that_does_not_read() {
    let scratch = Scratch::new();
    let manager = socket(&scratch, "notify");
    let full = UnixDatagram::unbound().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.send_to(b"full", scratch.path("notify")).is_ok() {}
    let (primary, _) = addresses();
    let mut command = Command::new(scratch.program());
    command
        .env("NOTIFY_SOCKET", scratch.path("notify"))
        .arg("--local")
        .arg(primary.to_string());
    let mut server = Server::start(&mut command);
    server.signal(Signal::SIGHUP);
    server.expect("configuration reloaded");
    let told = || loop {
        let text = received(&manager);
        if text != "full" {
            break text;
        }
    };
    let first = told();
    assert!(first.starts_with("READY=1\nSTATUS=serving"), "{first}");
    while full.send_to(b"full", scratch.path("notify")).is_ok() {}
    server.stop();
}

/// The manager of a container may listen at a name of the abstract namespace, which systemd writes with "@".
#[cfg(target_os = "linux")]
#[test]
fn a_manager_without_a_file() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("miredo-supervised-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let manager = UnixDatagram::bind_addr(&address).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut command = Command::new(scratch.program());
    command
        .env("NOTIFY_SOCKET", format!("@{name}"))
        .arg("--local")
        .arg(primary.to_string());
    let server = Server::start(&mut command);
    assert!(received(&manager).starts_with("READY=1\n"));
    server.stop();
}

/// The journal files lines of standard error under one facility, whatever the configuration says; those of syslog(3) under
/// that of each line.
#[cfg(target_os = "linux")]
#[test]
fn the_journal_has_the_facility() {
    const LOCAL3_INFO: &str = "<158>";
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("dev")).unwrap();
    let log = socket(&scratch, "dev/log");
    let manager = socket(&scratch, "notify");
    let (primary, _) = addresses();
    let text =
        format!("ServerBindAddress {primary}\nAllowPrivateAddresses yes\nSyslogFacility local3\n");
    let config = scratch.write("conf", &text);
    for (rust_log, to_syslog) in [(None, true), (Some("info"), false)] {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec"]).arg(
            "mknod -m 666 \"$1/dev/null\" c 1 3 || :\nmount --bind \"$1/dev\" /dev\nshift\n\
             export JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2)\nexec \"$@\"",
        );
        command
            .arg("sh")
            .arg(scratch.path("").as_os_str())
            .arg(scratch.program())
            .args(["-f", "-u", "daemon"])
            .arg("-c")
            .arg(&config)
            .arg("-p")
            .arg(scratch.path("pid"))
            .env("NOTIFY_SOCKET", scratch.path("notify"));
        match rust_log {
            Some(level) => command.env("RUST_LOG", level),
            None => command.env_remove("RUST_LOG"),
        };
        let mut server = Server::spawn(&mut command);
        if to_syslog {
            let line = received(&log);
            assert!(line.starts_with(LOCAL3_INFO), "{line}");
            assert!(line.contains("serving"), "{line}");
        } else {
            let line = server.expect("serving");
            assert!(line.starts_with("<6>"), "{line}");
        }
        assert!(received(&manager).starts_with("READY=1\n"));
        server.stop();
        if to_syslog {
            assert!(received(&log).contains("stopped"));
        }
        assert_eq!(received(&manager), "STOPPING=1\n");
    }
}

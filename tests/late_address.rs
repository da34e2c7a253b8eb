//! Addresses that the host does not have when the server starts, and those that it loses and gets back. Needs root.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;
#[cfg(target_os = "linux")]
mod lab;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::system::{absent_address, output, until};
use harness::{Client, DEADLINE, Scratch, Server, addresses, root, secondary_of};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

/// Far less than a reader has, or than any pause that the server makes may become.
const SOON: Duration = Duration::from_secs(5);

fn command(scratch: &Scratch, configuration: &str) -> Command {
    let config = scratch.write("conf", configuration);
    let mut command = Command::new(scratch.program());
    command.arg("-c").arg(config);
    command.arg("-p").arg(scratch.path("pid"));
    command
}

fn waiting_for(absent: Ipv4Addr) -> String {
    format!("ServerBindAddress {absent}\nServerBindAddress2 none\nWaitForAddress yes\n")
}

/// A server in the foreground that waits.
fn start(scratch: &Scratch, absent: Ipv4Addr, command: &mut Command) -> Server {
    let mut server = Server::spawn(command.arg("-f"));
    server.expect(&format!(
        "waiting for {absent}, which is not assigned to this host"
    ));
    assert!(scratch.path("pid").exists());
    server
}

#[test]
fn a_reload_names_another_address() {
    if !root() {
        return;
    }
    let (scratch, absent, (primary, _)) = (Scratch::new(), absent_address(), addresses());
    let manager = UnixDatagram::bind(scratch.path("notify")).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let told = || {
        let mut bytes = [0; 2048];
        let len = manager.recv(&mut bytes).expect("a datagram");
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    };
    let mut command = command(&scratch, &waiting_for(absent));
    command.env("NOTIFY_SOCKET", scratch.path("notify"));
    let mut server = start(&scratch, absent, &mut command);
    assert_eq!(told(), format!("READY=1\nSTATUS=waiting for {absent}\n"));

    let not_reloaded = format!("not reloaded, still waiting for {absent}");
    scratch.write("conf", "InterfaceMTU 1\n");
    server.signal(Signal::SIGHUP);
    server.expect("conf:1:14: error: InterfaceMTU 1");
    server.expect(&not_reloaded);
    // A start with this one would fail.
    scratch.write("conf", &waiting_for(absent).replace("yes", "no"));
    server.signal(Signal::SIGHUP);
    let line = server.expect(&not_reloaded);
    let why = format!(": {absent} is not assigned to this host");
    assert!(line.ends_with(&why), "{line}");

    let secondary = secondary_of(primary);
    let text = format!("ServerBindAddress {primary}\n{secondary}AllowPrivateAddresses yes\n");
    scratch.write("conf", &text);
    server.signal(Signal::SIGHUP);
    server.expect("configuration reloaded");
    server.expect(&format!("serving {primary}"));
    Client::new(primary).ask(primary, 1);
    let serving = format!("READY=1\nSTATUS=serving {primary}");
    assert!(told().starts_with(&serving));
    server.stop();
    // What was counted may be told before.
    let last = Some(told()).filter(|last| !last.starts_with("STATUS=serving"));
    assert_eq!(last.unwrap_or_else(told), "STOPPING=1\n");
    assert!(!scratch.path("pid").exists());
}

/// Makes the configuration a FIFO that has no end of file as long as what is returned is open, and waits until it is read.
fn hang(scratch: &Scratch, server: &Server) -> fs::File {
    let path = scratch.path("conf");
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600)).unwrap();
    let mut both = fs::File::options();
    let held = both.read(true).write(true).open(&path).unwrap();
    server.signal(Signal::SIGHUP);
    let monitor = server.pid().to_string();
    until("a reader starts", || {
        let readers = output(Command::new("pgrep").args(["-P", &monitor]));
        readers.status.success()
    });
    held
}

/// Also while the configuration is read and nobody writes it.
#[test]
fn a_waiting_server_stops() {
    if !root() {
        return;
    }
    for hangs in [false, true] {
        let (scratch, absent) = (Scratch::new(), absent_address());
        let mut command = command(&scratch, &waiting_for(absent));
        let mut server = start(&scratch, absent, &mut command);
        let _held = hangs.then(|| hang(&scratch, &server));
        let begin = Instant::now();
        server.signal(Signal::SIGTERM);
        assert!(server.wait().success(), "{:?}", server.seen);
        assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
        let stopped = server.seen.iter().any(|line| line.contains("stopped"));
        assert!(stopped, "{:?}", server.seen);
        assert!(!scratch.path("pid").exists());
    }
}

/// What is asked for while a configuration is read, which may be an old one, is done after it.
#[test]
fn a_second_reload_is_not_lost() {
    if !root() {
        return;
    }
    let (scratch, absent, (primary, _)) = (Scratch::new(), absent_address(), addresses());
    let mut command = command(&scratch, &waiting_for(absent));
    let mut server = start(&scratch, absent, &mut command);
    let held = hang(&scratch, &server);
    fs::remove_file(scratch.path("conf")).unwrap();
    let secondary = secondary_of(primary);
    let text = format!("ServerBindAddress {primary}\n{secondary}AllowPrivateAddresses yes\n");
    scratch.write("conf", &text);
    server.signal(Signal::SIGHUP);
    // The first reader finds the end of a file without an address.
    drop(held);
    server.expect(&format!("serving {primary}"));
    server.stop();
}

/// A boot script goes on.
#[test]
fn returns_when_the_server_waits() {
    if !root() {
        return;
    }
    let (scratch, absent) = (Scratch::new(), absent_address());
    let started = output(&mut command(&scratch, &waiting_for(absent)));
    assert!(started.status.success(), "{started:?}");
    let said = String::from_utf8_lossy(&started.stderr);
    assert_eq!(said, format!("miredo-server: waiting for {absent}\n"));
    let pid = fs::read_to_string(scratch.path("pid")).unwrap();
    kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGTERM).unwrap();
    until("the server stops", || !scratch.path("pid").exists());
}

#[cfg(target_os = "linux")]
mod on_linux {
    use std::net::IpAddr;

    use super::*;
    use lab::{Namespace, PrivateDir, Process, link};

    const PRIMARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const SECONDARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
    const CLIENT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

    /// A host without addresses of the server, and a client beside it that has a route to them.
    fn hosts() -> (Namespace, Client, Namespace) {
        let [client, host] = ["client", "server"].map(Namespace::new);
        link(&client, "wan", &host, "wan");
        client.address("wan", "203.0.113.1/24");
        host.address("wan", "203.0.113.2/24");
        client.route("192.0.2.0/24", "203.0.113.2");
        let socket = client.within(|| Client::new(CLIENT));
        (host, socket, client)
    }

    fn spawn(host: &Namespace, directory: &PrivateDir, text: &str) -> Process {
        let config = directory.write("conf", &format!("ServerBindAddress {PRIMARY}\n{text}"));
        let pid_file = directory.path().join("pid");
        let [config, pid_file] = [&config, &pid_file].map(|path| path.to_str().unwrap());
        host.spawn(harness::PROGRAM, &["-f", "-c", config, "-p", pid_file])
    }

    #[test]
    fn serves_when_both_are_there() {
        if !lab::require(&["ip"]) {
            return;
        }
        let (host, client, _other) = hosts();
        let directory = PrivateDir::new();
        let mut server = spawn(&host, &directory, "WaitForAddress yes\n");
        for address in [PRIMARY, SECONDARY] {
            server.wait_for_output(&format!("waiting for {address},"), DEADLINE);
            assert_eq!(host.udp_sockets_on(3544), 0);
            host.address("lo", &format!("{address}/32"));
        }
        server.wait_for_output(&format!("serving {PRIMARY} and {SECONDARY},"), DEADLINE);
        for address in [PRIMARY, SECONDARY] {
            assert_eq!(client.ask(address, 1).from, IpAddr::V4(address));
        }
        assert!(server.terminate().success());
    }

    /// An address that goes takes nothing with it, and when it comes back it needs no reload.
    #[test]
    fn an_address_goes_and_returns() {
        if !lab::require(&["ip"]) {
            return;
        }
        let (host, client, _other) = hosts();
        for address in [PRIMARY, SECONDARY] {
            host.address("lo", &format!("{address}/32"));
        }
        let directory = PrivateDir::new();
        let mut server = spawn(&host, &directory, "");
        server.wait_for_output("serving ", DEADLINE);
        client.ask(PRIMARY, 1);

        host.ip(&format!("address delete {PRIMARY}/32 dev lo"));
        // The answer would have to come from the address that is gone.
        client.solicit(SECONDARY, 2, true);
        server.wait_for_output("not sent: ", DEADLINE);
        client.ask(SECONDARY, 3);
        // A reload keeps the sockets of addresses that stay in the configuration.
        server.signal(Signal::SIGHUP);
        server.wait_for_output("configuration reloaded", DEADLINE);
        client.ask(SECONDARY, 4);

        host.address("lo", &format!("{PRIMARY}/32"));
        client.ask(PRIMARY, 5);
        client.solicit(SECONDARY, 6, true);
        let answer = client.advertisement();
        assert_eq!((answer.from, answer.nonce), (IpAddr::V4(PRIMARY), 6));
        assert!(server.terminate().success());
    }
}

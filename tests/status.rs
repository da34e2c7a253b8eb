//! What a running server tells of what it does: `--status`, and the service manager. Needs root.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output};

#[cfg(target_os = "linux")]
use harness::system::switches;
use harness::system::{absent_address, until};
use harness::{Client, DEADLINE, Scratch, Server, addresses, output, root, secondary_of};
use miredo_server::daemon::status::{State, Status};
use nix::sys::signal::{Signal, kill};

/// A server with files of its own.
struct Host {
    scratch: Scratch,
    primary: Ipv4Addr,
}

impl Host {
    fn new() -> Self {
        let scratch = Scratch::new();
        let (primary, _) = addresses();
        let host = Self { scratch, primary };
        host.configure("");
        host
    }

    fn configure(&self, more: &str) {
        let (primary, secondary) = (self.primary, secondary_of(self.primary));
        let text = format!(
            "ServerBindAddress {primary}\n{secondary}AllowPrivateAddresses yes\nWorkers 2\n{more}"
        );
        self.scratch.write("conf", &text);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.scratch.program());
        command.arg("-c").arg(self.path("conf"));
        command.arg("-p").arg(self.path("miredo.pid"));
        command
    }

    fn start(&self) -> Server {
        Server::start(self.command().arg("-f"))
    }

    fn asked(&self) -> Output {
        output(self.command().args(["--status", "--json"]))
    }

    /// What a server says that runs.
    fn status(&self) -> Status {
        let Output { status, stdout, .. } = self.asked();
        assert!(status.success(), "{status}");
        serde_json::from_slice(&stdout).unwrap()
    }

    /// What is said where none answers.
    fn no_status(&self) -> String {
        let output = self.asked();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn count(status: &Status, name: &str) -> u64 {
    let mut counters = status.counters.iter();
    counters.find(|counter| counter.name == name).unwrap().count
}

#[test]
fn it_tells_what_it_does() {
    if !root() {
        return;
    }
    let host = Host::new();
    let mut server = host.start();
    let client = Client::new(host.primary);
    let first = host.status();
    assert_eq!(
        (first.state, first.primary.public),
        (State::Serving, host.primary)
    );
    assert_eq!(first.pid.to_string(), server.pid().to_string());
    assert_eq!(first.workers, 2);
    assert!(first.counters.iter().all(|counter| counter.count == 0));
    for asked in 1..4 {
        client.ask(host.primary, asked);
        // The answer leaves before it is counted.
        until("the answer is counted", || {
            count(&host.status(), "router advertisement") == asked
        });
    }
    client.socket.send_to(&[], (host.primary, 3544)).unwrap();
    until("the drop is counted", || {
        count(&host.status(), "IPv6 header cut short") == 1
    });
    server.signal(Signal::SIGHUP);
    server.expect("reloaded");
    host.configure("Workers 0\nMTU\nInterfaceMTU 1\n");
    server.signal(Signal::SIGHUP);
    server.expect("not reloaded");
    kill(server.worker(), Signal::SIGKILL).unwrap();
    server.expect("serving again");
    let last = host.status();
    let history = (last.reloads, last.reloads_refused, last.restarts);
    assert_eq!(history, (1, 1, 1));
    assert_eq!(count(&last, "router advertisement"), 3);
    assert_eq!(
        last.worker_pid.unwrap().to_string(),
        server.worker().to_string()
    );
    let text = output(host.command().arg("--status")).stdout;
    let text = String::from_utf8(text).unwrap();
    for line in [
        "state      serving\n",
        "restarts   1\n",
        "     3  router advertisement: answers a solicitation\n",
        "     1  IPv6 header cut short: the datagram is not Teredo, or damaged\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    server.stop();
}

/// A server that is no trial is quiet, unless somebody looks for faults.
#[test]
fn answers_have_lines_if_asked_for() {
    if !root() {
        return;
    }
    for level in ["info", "debug"] {
        let host = Host::new();
        let command = &mut host.command();
        let server = Server::start(command.args(["-f", "-u", "daemon"]).env("RUST_LOG", level));
        let client = Client::new(host.primary);
        client.ask(host.primary, 1);
        let said = server.stop();
        let line = format!("sent router advertisement to {}", client.mapped());
        let shown = said.iter().filter(|said| said.contains(&line)).count();
        assert_eq!(shown, usize::from(level == "debug"), "{said:#?}");
        assert!(level == "debug" || said.len() == 2, "{said:#?}");
    }
}

/// Beside the process ID file, for owner and group, while the server runs.
#[test]
fn the_socket_is_its_own() {
    if !root() {
        return;
    }
    let host = Host::new();
    let said = host.no_status();
    assert!(said.contains("no server runs"), "{said}");
    let socket = host.path("miredo.sock");
    // One that a killed server left behind.
    let mut server = host.start();
    server.signal(Signal::SIGKILL);
    server.wait();
    assert!(socket.exists());
    let said = host.no_status();
    assert!(said.contains("no server runs"), "{said}");
    let server = host.start();
    let file = fs::symlink_metadata(&socket).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!((file.mode() & 0o7777, file.uid()), (0o660, 0));
    // By the link to the process ID file that a unit of systemd makes.
    std::os::unix::fs::symlink(host.path("miredo.pid"), host.path("link")).unwrap();
    let mut command = Command::new(host.scratch.program());
    command.arg("--status").arg("-c").arg(host.path("conf"));
    let asked = output(command.arg("-p").arg(host.path("link")));
    assert!(asked.status.success(), "{asked:?}");
    server.stop();
    assert!(!socket.exists());
}

/// A server that waits for an address says so.
#[test]
fn a_server_that_waits_tells_it() {
    if !root() {
        return;
    }
    let host = Host::new();
    let absent = absent_address();
    let text = format!("ServerBindAddress {absent}\nWaitForAddress yes\n");
    host.scratch.write("conf", &text);
    let mut server = Server::spawn(host.command().arg("-f"));
    server.expect("waiting for ");
    let status = host.status();
    assert_eq!(
        (status.state, status.primary.bound),
        (State::Waiting, absent)
    );
    assert_eq!(status.worker_pid, None);
    host.scratch.write("conf", &format!("{text}Workers 0\n"));
    server.signal(Signal::SIGHUP);
    server.expect("not reloaded");
    let status = host.status();
    assert_eq!((status.reloads, status.reloads_refused), (0, 1));
    host.scratch
        .write("conf", &format!("{text}StatisticsSocket off\n"));
    server.signal(Signal::SIGHUP);
    if cfg!(not(target_os = "openbsd")) {
        server.expect("configuration reloaded");
        assert!(host.no_status().contains("StatisticsSocket is off"));
    }
    host.configure("");
    server.signal(Signal::SIGHUP);
    server.expect("serving ");
    if cfg!(not(target_os = "openbsd")) {
        let status = host.status();
        assert_eq!(status.state, State::Serving);
        assert_eq!((status.reloads, status.reloads_refused), (2, 1));
    }
    server.stop();
    assert!(!host.path("miredo.sock").exists());
}

/// What is in the place of the socket stays there, and the server serves all the same, unless somebody asked for that place.
#[test]
fn a_place_that_is_taken() {
    if !root() {
        return;
    }
    let host = Host::new();
    fs::write(host.path("miredo.sock"), "a file").unwrap();
    let mut server = Server::spawn(host.command().arg("-f"));
    let line = server.expect("no statistics");
    assert!(line.contains("a file that is no socket is there"), "{line}");
    server.expect("serving");
    server.stop();
    let path = host.path("miredo.sock");
    assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
    host.configure(&format!("StatisticsSocket {}\n", path.display()));
    let refused = output(host.command().arg("-f"));
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("a file that is no socket is there"), "{said}");
}

#[test]
fn a_reload_moves_the_socket() {
    if !root() {
        return;
    }
    let host = Host::new();
    let mut server = host.start();
    let other = host.path("other");
    let directive = format!("StatisticsSocket {}\n", other.display());
    let reload = |server: &mut Server, more: &str, words: &str| {
        host.configure(more);
        server.signal(Signal::SIGHUP);
        server.expect(words)
    };
    fs::write(&other, "a file").unwrap();
    let line = reload(&mut server, &directive, "not reloaded");
    assert!(line.contains("no socket is there"), "{line}");
    assert!(host.path("miredo.sock").exists());
    fs::remove_file(&other).unwrap();
    if cfg!(target_os = "openbsd") {
        let line = reload(&mut server, &directive, "not reloaded");
        assert!(line.contains("restart the server"), "{line}");
        server.stop();
        return;
    }
    reload(&mut server, &directive, "configuration reloaded");
    assert!(!host.path("miredo.sock").exists());
    assert_eq!(host.status().reloads, 1);
    reload(
        &mut server,
        "StatisticsSocket off\n",
        "configuration reloaded",
    );
    assert!(!other.exists());
    let said = host.no_status();
    assert!(said.contains("StatisticsSocket is off"), "{said}");
    reload(&mut server, "", "configuration reloaded");
    assert_eq!(host.status().reloads, 3);
    // Somebody cleans up.
    fs::remove_file(host.path("miredo.sock")).unwrap();
    reload(&mut server, "", "configuration reloaded");
    assert_eq!(host.status().reloads, 4);
    let path = host.path("miredo.sock");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "a file").unwrap();
    reload(&mut server, "", "no statistics");
    server.expect("configuration reloaded");
    server.stop();
    assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
}

/// Clients that say and read nothing keep neither others nor signals waiting.
#[test]
fn silent_clients_hold_nobody_up() {
    if !root() {
        return;
    }
    let host = Host::new();
    let mut server = host.start();
    // A worker that does not tell, either.
    kill(server.worker(), Signal::SIGSTOP).unwrap();
    let silent: Vec<_> = (0..50)
        .map(|_| UnixStream::connect(host.path("miredo.sock")).unwrap())
        .collect();
    kill(server.worker(), Signal::SIGKILL).unwrap();
    server.expect("serving again");
    assert_eq!(host.status().restarts, 1);
    drop(silent);
    server.stop();
}

/// A trial has a socket if it has a process ID file.
#[test]
fn a_trial_tells_if_it_is_asked_to() {
    let host = Host::new();
    let trial = |more: &[&str]| {
        let mut command = Command::new(host.scratch.program());
        command.arg("--local").args(more);
        command
    };
    let (primary, pid) = (host.primary.to_string(), host.path("miredo.pid"));
    let server = Server::start(&mut trial(&["-p", pid.to_str().unwrap(), &primary]));
    let asked = output(&mut trial(&["-p", pid.to_str().unwrap(), "--status"]));
    assert!(asked.status.success(), "{asked:?}");
    let asked = output(&mut trial(&["--status"]));
    assert_eq!(asked.status.code(), Some(1));
    let said = String::from_utf8(asked.stderr).unwrap();
    assert!(said.contains("tells nothing"), "{said}");
    server.stop();
}

/// The manager of a service, as far as it is told.
struct Manager(UnixDatagram);

impl Manager {
    fn new(host: &Host) -> Self {
        let socket = UnixDatagram::bind(host.path("notify")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(socket)
    }

    fn start(&self, host: &Host) -> Server {
        let path = self.0.local_addr().unwrap();
        let path = path.as_pathname().unwrap();
        Server::start(host.command().arg("-f").env("NOTIFY_SOCKET", path))
    }

    /// Waits until it is told something with these words, and returns all of that.
    fn expect(&self, words: &str) -> String {
        let mut bytes = [0; 2048];
        let mut told = String::new();
        while !told.contains(words) {
            let len = self.0.recv(&mut bytes).expect(words);
            told = String::from_utf8_lossy(&bytes[..len]).into_owned();
        }
        told
    }
}

/// What a killed worker had told, unasked, stays counted; what it may not have told is said.
#[test]
fn a_killed_worker_has_told_all() {
    if !root() {
        return;
    }
    let host = Host::new();
    let manager = Manager::new(&host);
    let mut server = manager.start(&host);
    let client = Client::new(host.primary);
    for nonce in 0..3 {
        client.ask(host.primary, nonce);
    }
    manager.expect("; 3 datagrams answered or forwarded, 0 dropped, 0 lost");
    kill(server.worker(), Signal::SIGKILL).unwrap();
    let line = server.expect("the worker died");
    let words = "what it did in its last second may not be counted";
    assert!(line.contains(words), "{line}");
    server.expect("serving again");
    client.ask(host.primary, 3);
    server.signal(Signal::SIGHUP);
    let counted = "; 4 datagrams answered or forwarded";
    if !manager.expect("READY=1\n").contains(counted) {
        manager.expect(counted);
    }
    let said = server.stop();
    let last = said.last().unwrap();
    assert!(last.contains("4 datagrams answered or forwarded"), "{last}");
}

/// Neither process wakes while there is nothing to do, though both have told what there was.
#[test]
#[cfg(target_os = "linux")]
fn idle_processes_do_not_wake() {
    if !root() {
        return;
    }
    let host = Host::new();
    let manager = Manager::new(&host);
    let server = manager.start(&host);
    let client = Client::new(host.primary);
    for nonce in 0..3 {
        client.ask(host.primary, nonce);
    }
    manager.expect("; 3 datagrams answered or forwarded");
    // What is still under way on a busy machine ends; what is done every few seconds does not.
    let wakeups = || [switches(server.pid()), switches(server.worker())];
    until("both sleep for six seconds", || {
        let before = wakeups();
        std::thread::sleep(std::time::Duration::from_secs(6));
        wakeups() == before
    });
    // So it does see them wake.
    let before = wakeups();
    client.ask(host.primary, 3);
    until("both are seen to have been awake", || {
        let after = wakeups();
        after[0] > before[0] && after[1] > before[1]
    });
    server.stop();
}

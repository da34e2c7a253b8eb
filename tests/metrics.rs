//! Metrics over HTTP, by a process of their own.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::time::Instant;

use harness::system::{self, until};
use harness::{Client, DEADLINE, Scratch, Server, addresses, output, root, secondary_of};
use miredo_server::daemon::status::Status;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A server with files and addresses of its own.
struct Host {
    scratch: Scratch,
    primary: Ipv4Addr,
    at: SocketAddr,
}

impl Host {
    fn new() -> Self {
        let scratch = Scratch::new();
        let (primary, _) = addresses();
        let at = free_port(primary);
        let host = Self {
            scratch,
            primary,
            at,
        };
        host.configure(&format!("MetricsAddress {at}\n"));
        host
    }

    fn configure(&self, more: &str) {
        let (primary, secondary) = (self.primary, secondary_of(self.primary));
        let text = format!(
            "ServerBindAddress {primary}\n{secondary}AllowPrivateAddresses yes\nWorkers 1\n{more}"
        );
        self.scratch.write("conf", &text);
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.scratch.program());
        command.arg("-c").arg(self.scratch.path("conf"));
        command.arg("-p").arg(self.scratch.path("miredo.pid"));
        command
    }

    fn start(&self) -> Server {
        let server = Server::start(self.command().arg("-f"));
        until("metrics are served", || !exporters(&server).is_empty());
        server
    }

    fn worker(&self) -> Pid {
        let Output { stdout, .. } = output(self.command().args(["--status", "--json"]));
        let status: Status = serde_json::from_slice(&stdout).unwrap();
        Pid::from_raw(status.worker_pid.unwrap().try_into().unwrap())
    }

    /// The answer to a request.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        rest(stream)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    fn metrics(&self) -> String {
        let answer = self.ask("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        body.to_owned()
    }

    /// The value of a sample.
    fn value(&self, sample: &str) -> u64 {
        let metrics = self.metrics();
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        value.expect(sample).parse().unwrap()
    }
}

const ADVERTISEMENTS: &str = "teredo_server_sent_total{kind=\"router advertisement\"}";

fn rest(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    // A client that is dropped may see that its connection is reset.
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn free_port(address: Ipv4Addr) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// The children of a server that serve metrics (ps(1)).
fn exporters(server: &Server) -> Vec<Pid> {
    let children = output(Command::new("pgrep").args(["-P", &server.pid().to_string()]));
    let children = String::from_utf8(children.stdout).unwrap();
    let is_exporter = |pid: &&str| {
        let line = output(Command::new("ps").args(["-o", "args=", "-p", pid])).stdout;
        String::from_utf8_lossy(&line).contains(" --exporter ")
    };
    let exporters = children.lines().filter(is_exporter);
    exporters
        .map(|pid| Pid::from_raw(pid.parse().unwrap()))
        .collect()
}

#[test]
fn whoever_asks_is_told() {
    if !root() {
        return;
    }
    let host = Host::new();
    let server = host.start();
    let client = Client::new(host.primary);
    for asked in 1..4 {
        client.ask(host.primary, asked);
        until("the answer is counted", || {
            host.value(ADVERTISEMENTS) == asked
        });
    }
    let received = "teredo_server_received_total{address=\"primary address\"}";
    assert_eq!(host.value(received), 3);
    assert_eq!(host.value("teredo_server_serving"), 1);
    let accept = "Accept: application/openmetrics-text; version=1.0.0\r\n";
    let answer = host.ask(&format!("GET /metrics HTTP/1.1\r\nHost: h\r\n{accept}\r\n"));
    assert!(answer.contains("\r\nContent-Type: application/openmetrics-text; version=1.0.0; "));
    assert!(
        answer.contains("\n# TYPE teredo_server_sent counter\n") && answer.ends_with("# EOF\n")
    );
    let head = host.ask("HEAD /metrics HTTP/1.0\r\n\r\n");
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "404 "),
        ("POST /metrics HTTP/1.1\r\nHost: h\r\n\r\n", "405 "),
        ("GET /metrics HTTP/1.1\r\n\r\n", "400 "),
        ("\x16\x03\x01", "400 "),
        ("GET /metrics HTTP/3.0\r\n\r\n", "505 "),
    ] {
        let answer = host.ask(request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{request}: {answer}"
        );
    }
    // What a client sends beyond its request does not cost it the answer.
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(30_000));
    assert!(host.ask(&long).starts_with("HTTP/1.1 431 "));
    let said = server.stop();
    let about = |line: &String| line.contains("metrics") || line.contains("exporter");
    assert!(!said.iter().any(about), "all went well: {said:#?}");
}

/// Clients that say nothing, or read nothing, keep others waiting for no longer than their time.
#[test]
fn silent_clients_are_dropped() {
    if !root() {
        return;
    }
    let host = Host::new();
    let server = host.start();
    let begin = Instant::now();
    // More than are served at a time. A few begin to ask.
    let silent: Vec<_> = (0..20)
        .map(|number| {
            let mut stream = host.connect();
            if number % 2 == 0 {
                stream.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
            }
            stream
        })
        .collect();
    host.metrics();
    assert!(begin.elapsed() < DEADLINE);
    for stream in silent {
        // Dropped, without an answer.
        assert_eq!(rest(stream), "");
    }
    // One that is gone before it is answered.
    for _ in 0..20 {
        let mut stream = host.connect();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap();
        let _ = stream.shutdown(Shutdown::Both);
    }
    host.metrics();
    assert_eq!(exporters(&server).len(), 1);
    server.stop();
}

/// Neither a worker that dies nor an exporter that does makes a number fall.
#[test]
fn no_total_falls() {
    if !root() {
        return;
    }
    let host = Host::new();
    let mut server = host.start();
    let client = Client::new(host.primary);
    client.ask(host.primary, 1);
    until("the answer is counted", || host.value(ADVERTISEMENTS) == 1);
    kill(host.worker(), Signal::SIGKILL).unwrap();
    server.expect("serving again");
    until("the restart is counted", || {
        host.value("teredo_server_restarts_total") == 1
    });
    assert_eq!(host.value(ADVERTISEMENTS), 1);
    client.ask(host.primary, 2);
    until("the answer is counted", || host.value(ADVERTISEMENTS) == 2);
    let [exporter] = exporters(&server)[..] else {
        panic!("one exporter");
    };
    kill(exporter, Signal::SIGKILL).unwrap();
    server.expect("the exporter died");
    server.expect("metrics again at");
    assert_eq!(host.value(ADVERTISEMENTS), 2);
    // One that does not listen holds nobody up, and is told what it missed.
    let [exporter] = exporters(&server)[..] else {
        panic!("one exporter");
    };
    kill(exporter, Signal::SIGSTOP).unwrap();
    for nonce in 3..53 {
        client.ask(host.primary, nonce);
    }
    server.signal(Signal::SIGHUP);
    server.expect("configuration reloaded");
    kill(exporter, Signal::SIGCONT).unwrap();
    until("it is told", || host.value(ADVERTISEMENTS) == 52);
    let reloads = |result: &str| format!("teredo_server_reloads_total{{result=\"{result}\"}}");
    assert_eq!(host.value(&reloads("succeeded")), 1);
    host.configure("InterfaceMTU 1\n");
    server.signal(Signal::SIGHUP);
    server.expect("not reloaded");
    until("it is told", || host.value(&reloads("refused")) == 1);
    server.stop();
}

#[test]
fn a_reload_moves_them() {
    if !root() {
        return;
    }
    let mut host = Host::new();
    let mut server = host.start();
    let taken = TcpListener::bind((host.primary, 0)).unwrap();
    let reload = |host: &Host, server: &mut Server, at: &str, words: &str| {
        host.configure(&format!("MetricsAddress {at}\n"));
        server.signal(Signal::SIGHUP);
        server.expect(words)
    };
    let at = taken.local_addr().unwrap();
    let line = reload(&host, &mut server, &at.to_string(), "not reloaded");
    assert!(line.contains(&format!("bind {at}: ")), "{line}");
    host.metrics();
    let (before, at) = (host.at, free_port(host.primary));
    reload(
        &host,
        &mut server,
        &at.to_string(),
        "configuration reloaded",
    );
    host.at = at;
    let is_closed = |at| TcpStream::connect(at).is_err();
    until("the place before is left", || is_closed(before));
    assert_eq!(host.value("teredo_server_serving"), 1);
    reload(&host, &mut server, "off", "configuration reloaded");
    until("the last place is left", || is_closed(at));
    until("the exporter ends", || exporters(&server).is_empty());
    server.stop();
}

/// An exporter that was told all there is, and has no client, sleeps; and so does the monitor.
#[test]
#[cfg(target_os = "linux")]
fn idle_processes_do_not_wake() {
    if !root() {
        return;
    }
    let host = Host::new();
    let server = host.start();
    Client::new(host.primary).ask(host.primary, 1);
    until("the answer is counted", || host.value(ADVERTISEMENTS) == 1);
    let [exporter] = exporters(&server)[..] else {
        panic!("one exporter");
    };
    // What is still under way on a busy machine ends; what is done every second does not.
    until("both sleep for three seconds", || {
        let wakeups = || [server.pid(), exporter].map(system::switches);
        let before = wakeups();
        std::thread::sleep(std::time::Duration::from_secs(3));
        wakeups() == before
    });
    server.stop();
}

/// An address that cannot be had is told as any other.
#[test]
fn a_place_that_is_taken() {
    if !root() {
        return;
    }
    let host = Host::new();
    let taken = TcpListener::bind(host.at).unwrap();
    let refused = output(host.command().arg("-f"));
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains(&format!("bind {}: ", host.at)), "{said}");
    assert!(
        said.contains("choose another port in MetricsAddress"),
        "{said}"
    );
    drop(taken);
    let absent = system::absent_address();
    host.configure(&format!("MetricsAddress {absent}:9544\n"));
    let refused = output(host.command().arg("-f"));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("correct MetricsAddress"), "{said}");
}

/// What the program that is open to whoever connects may do: nothing but answer.
#[test]
#[cfg(target_os = "linux")]
fn the_exporter_has_no_privilege() {
    if !root() {
        return;
    }
    let host = Host::new();
    let server = host.start();
    host.metrics();
    let [exporter] = exporters(&server)[..] else {
        panic!("one exporter");
    };
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let (uid, gid) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    assert_eq!(system::ids(exporter), [uid, uid, uid, gid, gid, gid]);
    assert_eq!(nix::unistd::getsid(Some(exporter)), Ok(exporter));
    let status = std::fs::read_to_string(format!("/proc/{exporter}/status")).unwrap();
    for line in [
        "Groups:\t \n",
        "CapPrm:\t0000000000000000\n",
        "CapEff:\t0000000000000000\n",
        "CapBnd:\t0000000000000000\n",
        "NoNewPrivs:\t1\n",
        "Seccomp:\t2\n",
        "Threads:\t1\n",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{exporter}/limits")).unwrap();
    for limit in ["Max processes", "Max file size", "Max core file size"] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        let value = line.trim_start_matches(limit).split_whitespace().next();
        assert_eq!(value, Some("0"), "{line}");
    }
    let root = format!("/proc/{exporter}/root");
    assert_ne!(std::fs::read_link(&root).unwrap().to_str(), Some("/"));
    // Its sockets are the one that listens and those to the monitor: none of those that serve.
    let sockets = output(Command::new("ss").args(["-Huanp"])).stdout;
    let sockets = String::from_utf8(sockets).unwrap();
    assert!(!sockets.contains(&format!("pid={exporter},")), "{sockets}");
    // After all that clients can do to it.
    drop((0..20).map(|_| host.connect()).collect::<Vec<_>>());
    host.metrics();
    assert_eq!(exporters(&server), [exporter]);
    server.stop();
}

/// A trial has metrics if it is configured to.
#[test]
fn without_root() {
    let host = Host::new();
    let mut command = host.command();
    let server = Server::start(command.arg("--local"));
    until("metrics are served", || !exporters(&server).is_empty());
    assert_eq!(host.value("teredo_server_serving"), 1);
    server.stop();
}

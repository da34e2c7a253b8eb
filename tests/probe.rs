//! teredo-probe(1) against a server, half a server and none.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.

mod harness;

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use harness::system::{Turn, wait};
use harness::{DEADLINE, Scratch, Server, addresses, another_address, has, output};

/// Exit code and output of the probe.
fn probe(arguments: &[&str], server: Ipv4Addr) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_teredo-probe"));
    let ended = output(command.args(arguments).arg(server.to_string()));
    (
        ended.status.code(),
        String::from_utf8(ended.stdout).unwrap(),
    )
}

#[test]
fn a_server_with_two_addresses() {
    let (primary, secondary) = addresses();
    if !has(secondary) {
        return;
    }
    let scratch = Scratch::new();
    let server = Server::start(
        Command::new(scratch.program())
            .arg("--local")
            .arg(primary.to_string()),
    );
    let (code, said) = probe(&["-p", "40001"], primary);
    assert_eq!(code, Some(0), "{said}");
    let [a, b, c, d] = primary.octets();
    let prefix = format!(
        "2001:0:{:x}:{:x}:",
        u16::from_be_bytes([a, b]),
        u16::from_be_bytes([c, d])
    );
    for expected in [
        format!("asking {primary}\n"),
        format!("asking {primary} with the cone bit: {secondary} answers"),
        format!("{primary}: answered after "),
        format!(": prefix {prefix}:/64, MTU 1280, mapped address 127.0.0.1:40001\n"),
        format!("{primary}, cone bit: {secondary} answered after "),
        format!("{secondary}: answered after "),
        format!("{primary}: works, answers after "),
        "NAT: none\n".to_owned(),
        // Port 40001 and 127.0.0.1, every bit inverted.
        format!("Teredo address: {prefix}0:63be:80ff:fffe\n"),
    ] {
        assert!(said.contains(&expected), "{expected:?} in {said}");
    }
    let (code, said) = probe(&["-v"], primary);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Router Advertisement: prefix "), "{said}");

    // The secondary address, asked as if it were a server's.
    let (code, said) = probe(&["--timeout", "1"], secondary);
    assert_eq!(code, Some(1), "{said}");
    let expected = format!("it is the secondary address of {primary}");
    assert!(said.contains(&expected), "{said}");
    server.stop();
}

#[test]
fn a_server_with_one_address() {
    let (primary, secondary) = addresses();
    let scratch = Scratch::new();
    let config = scratch.write("conf", "ServerBindAddress2 none\n");
    let mut command = Command::new(scratch.program());
    let server = Server::start(
        command
            .arg("--local")
            .arg("-c")
            .arg(config)
            .arg(primary.to_string()),
    );
    let (code, said) = probe(&[], primary);
    assert_eq!(code, Some(1), "{said}");
    // Where only 127.0.0.1 exists, the system does not even send.
    let expected = match cfg!(target_os = "linux") {
        true => format!("nobody listens at its secondary address {secondary}"),
        false => "its secondary address".to_owned(),
    };
    assert!(said.contains(&expected), "{said}");
    let (code, said) = probe(&["--one-address"], primary);
    assert_eq!(code, Some(0), "{said}");
    server.stop();
}

/// Well before the time is up: the system says that nobody listens.
#[test]
fn no_server() {
    let _turn = Turn::new();
    let (primary, _) = addresses();
    let (code, said) = probe(&["--timeout", "3600"], primary);
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("{primary}: does not work: refused")),
        "{said}"
    );
}

#[test]
fn a_command_line_fault_exits_2() {
    let _turn = Turn::new();
    let (primary, _) = addresses();
    for wrong in [
        ["-t", "0"],
        ["-p", "0"],
        ["-s", "localhost"],
        ["--expect-prefix", "2002::"],
    ] {
        assert_eq!(probe(&wrong, primary).0, Some(2), "{wrong:?}");
    }
    let refused = |argument: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_teredo-probe"));
        let ended = output(command.arg(argument));
        assert_eq!(ended.status.code(), Some(2), "{argument}");
        String::from_utf8(ended.stderr).unwrap()
    };
    let said = refused("192.0.2.1,192.0.2.2,192.0.2.3");
    assert!(said.contains("at most two addresses"), "{said}");
    // Those options that exist, and no advice to write -- in front.
    let said = refused("-x");
    assert!(
        said.contains("'-x'") && said.contains("--one-address"),
        "{said}"
    );
    assert!(!said.contains("-- -x"), "{said}");
}

#[test]
fn another_service() {
    let (primary, secondary) = addresses();
    if !has(secondary) {
        return;
    }
    let scratch = Scratch::new();
    let config = scratch.write("conf", "Prefix 3ffe:831f::\n");
    let mut command = Command::new(scratch.program());
    let server = Server::start(
        command
            .arg("--local")
            .arg("-c")
            .arg(config)
            .arg(primary.to_string()),
    );
    let (code, said) = probe(&[], primary);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is not inside 2001::/32"), "{said}");
    let (code, said) = probe(&["--expect-prefix", "3ffe:831f::/32"], primary);
    assert_eq!(code, Some(0), "{said}");
    server.stop();
}

#[test]
fn a_broadcast_address_is_refused() {
    let (code, said) = probe(&[], Ipv4Addr::BROADCAST);
    assert_eq!(code, Some(1), "{said}");
    // Linux refuses it in connect(2), for want of a permission or of a route; the BSDs and macOS in the send.
    assert!(said.contains(" 255.255.255.255: "), "{said}");
}

/// What programs read has stable names, and the verdict is in the exit status too.
#[test]
fn for_programs() {
    let (primary, secondary) = addresses();
    let nobody = another_address();
    if !has(secondary) || !has(nobody) {
        return;
    }
    let scratch = Scratch::new();
    let mut command = Command::new(scratch.program());
    let server = Server::start(command.arg("--local").arg(primary.to_string()));

    let (code, said) = probe(&["--json", &nobody.to_string()], primary);
    assert_eq!(code, Some(1));
    let objects: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Sorted by the time of the answer: who has none comes last.
    assert_eq!(objects[0]["server"], primary.to_string());
    assert_eq!(objects[0]["works"], true);
    assert_eq!(objects[0]["secondary"], secondary.to_string());
    assert_eq!(objects[0]["nat"], "none");
    assert_eq!(objects[0]["mtu"], 1280);
    assert!(objects[0]["answer_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(objects[1]["server"], nobody.to_string());
    assert_eq!(objects[1]["faults"][0]["code"], "refused");
    assert_eq!(objects[1]["answer_ms"], Value::Null);

    let (code, said) = probe(&["--monitor"], primary);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with(&format!("TEREDO OK - {primary} works")),
        "{said}"
    );
    assert!(said.contains(&format!(" | '{primary}'=")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let (code, said) = probe(&["--monitor", "-w", "0"], primary);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ms;0;;0;5000\n"), "{said}");
    assert_eq!(probe(&["--monitor", "-c", "0"], primary).0, Some(2));
    let (code, said) = probe(&["--monitor", &nobody.to_string()], primary);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("'{nobody}'=U;")), "{said}");

    let (code, said) = probe(&["--prometheus", &nobody.to_string()], primary);
    assert_eq!(code, Some(1), "{said}");
    for sample in [
        format!("teredo_probe_up{{server=\"{primary}\"}} 1\n"),
        format!("teredo_probe_up{{server=\"{nobody}\"}} 0\n"),
        format!("teredo_probe_fault{{server=\"{nobody}\",fault=\"refused\"}} 1\n"),
        format!("teredo_probe_nat{{server=\"{primary}\",kind=\"none\"}} 1\n"),
    ] {
        assert!(said.contains(&sample), "{sample} in {said}");
    }
    let file = scratch.path("probe.prom");
    let written = format!("--prometheus={}", file.display());
    // The same server twice is one series.
    let (code, said) = probe(&[&written, &primary.to_string()], primary);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches("teredo_probe_up{").count(), 1, "{text}");
    server.stop();
}

#[test]
fn again_and_again() {
    let (primary, secondary) = addresses();
    if !has(secondary) {
        return;
    }
    let scratch = Scratch::new();
    let mut command = Command::new(scratch.program());
    let server = Server::start(command.arg("--local").arg(primary.to_string()));
    let (code, said) = probe(&["--interval", "0.2", "-n", "2"], primary);
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    for line in &lines[..2] {
        assert!(
            line.starts_with(&format!("{primary}: works, answers after ")),
            "{said}"
        );
    }
    assert_eq!(lines[3], "2 rounds, worked in 2");
    server.stop();
}

/// A monitor is told of every fault in its own way.
#[test]
fn a_monitor_is_told_every_fault() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_teredo-probe"));
    let ended = output(command.arg("--monitor"));
    assert_eq!(ended.status.code(), Some(3));
    let said = String::from_utf8(ended.stdout).unwrap();
    assert!(said.starts_with("TEREDO UNKNOWN - "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    // An address that no host has to send from.
    let (primary, _) = addresses();
    let (code, said) = probe(&["--monitor", "-s", "203.0.113.1"], primary);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("could not be asked: bind 203.0.113.1:0"),
        "{said}"
    );
}

/// A reader that has had enough is no fault, and no reason to say anything.
#[test]
fn nobody_reads() {
    let _turn = Turn::new();
    let (primary, _) = addresses();
    let mut command = Command::new(env!("CARGO_BIN_EXE_teredo-probe"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command
        .arg(primary.to_string())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(wait(&mut child).code(), Some(1));
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(said, "");
}

/// Three terminals on one machine: a server, a client that listens, one that pings it. With one address, as where only
/// 127.0.0.1 exists.
#[test]
fn a_client_pings_another_one() {
    let (primary, _) = addresses();
    let scratch = Scratch::new();
    let config = scratch.write("conf", "ServerBindAddress2 none\n");
    let mut command = Command::new(scratch.program());
    let server = Server::start(
        command
            .arg("--local")
            .arg("-c")
            .arg(config)
            .arg(primary.to_string()),
    );
    let (listener, address) = Listener::start(&["--one-address", &primary.to_string()]);
    let arguments = [
        "--one-address",
        "--json",
        "-n",
        "2",
        "-i",
        "0.2",
        "--ping",
        &address,
    ];
    let (code, said) = probe(&arguments, primary);
    assert_eq!(code, Some(0), "{said}");
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["sent"], &last["received"]),
        (&2.into(), &2.into()),
        "{said}"
    );
    let heard = listener.stop();
    assert!(heard.contains("echo request from 2001:"), "{heard}");
    server.stop();
}

/// Whose server answers at its address is not asked for: the address says it.
#[test]
fn a_ping_in_vain() {
    let _turn = Turn::new();
    let (primary, _) = addresses();
    let mut command = Command::new(env!("CARGO_BIN_EXE_teredo-probe"));
    let [a, b, c, d] = primary.octets().map(u16::from);
    let peer = format!("2001:0:{:x}:{:x}:0:1234:80ff:fffe", a << 8 | b, c << 8 | d);
    let ended = output(command.arg("--ping").arg(&peer));
    let said = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("{primary}: does not work: refused")),
        "{said}"
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_teredo-probe"));
    let ended = output(command.args(["--ping", "2001:db8::1"]));
    assert_eq!(ended.status.code(), Some(2));
}

/// A `teredo-probe --listen` until it is stopped.
struct Listener {
    child: std::process::Child,
    lines: Receiver<String>,
    seen: String,
}

impl Listener {
    /// Starts it and waits for its address.
    fn start(arguments: &[&str]) -> (Self, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_teredo-probe"))
            .arg("--listen")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut said = stdout.lines().map_while(Result::ok);
            said.try_for_each(|line| sender.send(line + "\n"))
        });
        let mut listener = Self {
            child,
            lines,
            seen: String::new(),
        };
        loop {
            let line = listener.lines.recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|_| panic!("no address: {}", listener.seen));
            listener.seen.push_str(&line);
            if let Some(address) = line.trim().strip_prefix("Teredo address: ") {
                let address = address.to_owned();
                return (listener, address);
            }
        }
    }

    /// Ends it by a signal, which is no failure, and returns what it said.
    fn stop(mut self) -> String {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(pid, Signal::SIGINT).unwrap();
        let status = wait(&mut self.child);
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            self.seen.push_str(&line);
        }
        assert!(status.success(), "{}", self.seen);
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

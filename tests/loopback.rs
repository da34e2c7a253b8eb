//! `--local`, end to end, as an ordinary user: what somebody tries on one machine.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;

use std::os::unix::process::CommandExt;
use std::process::Command;

use harness::{Client, Scratch, Server, addresses, has};

/// The program as an ordinary user runs it, whoever runs the test.
fn ordinary(scratch: &Scratch) -> Command {
    let mut command = Command::new(scratch.program());
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    command
}

/// A client learns its mapped address.
#[test]
fn a_client_learns_its_address() {
    let scratch = Scratch::new();
    let (primary, secondary) = addresses();
    if !has(secondary) {
        return;
    }
    let server = Server::start(ordinary(&scratch).arg("--local").arg(primary.to_string()));
    let client = Client::new(primary);
    for (address, nonce) in [(primary, 1), (secondary, 2)] {
        let answer = client.ask(address, nonce);
        assert_eq!(answer.from, address);
        assert_eq!(answer.mapped, client.mapped());
    }
    let seen = server.stop();
    let answers = seen
        .iter()
        .filter(|line| line.contains("sent router advertisement"));
    assert_eq!(answers.count(), 2, "one line an answer: {seen:#?}");
    assert_eq!(seen.len(), 4, "and one at start, one at stop: {seen:#?}");
}

/// Whoever closes the window has ended the trial: no server is left that holds the port.
#[test]
#[cfg(target_os = "linux")]
fn a_trial_ends_with_its_terminal() {
    use harness::system::{output, until};
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use std::process::Stdio;
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let (program, pid) = (scratch.program(), scratch.path("pid"));
    let command = format!(
        "{} --local -p {} {primary}",
        program.display(),
        pid.display()
    );
    let mut terminal = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the server serves", || {
        std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'))
    });
    let server = std::fs::read_to_string(&pid).unwrap();
    let server = Pid::from_raw(server.trim().parse().unwrap());
    // A reload, while the terminal is there.
    kill(server, Signal::SIGHUP).unwrap();
    let asked = || {
        let mut command = Command::new(&program);
        command.args(["--status", "--json", "--local", "-p"]);
        String::from_utf8(output(command.arg(&pid)).stdout).unwrap()
    };
    until("it reloads", || asked().contains("\"reloads\":1,"));
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    until("the server has stopped", || !pid.exists());
}

/// A receive buffer that was asked for and not granted is warned of.
#[test]
fn a_small_receive_buffer_is_told() {
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let buffer = |bytes: u32| {
        let text = format!("ServerBindAddress {primary}\nReceiveBuffer {bytes}\n");
        let config = scratch.write("conf", &text);
        Server::start(ordinary(&scratch).arg("--local").arg("-c").arg(config)).stop()
    };
    let seen = buffer(1 << 28);
    let warned = format!("ReceiveBuffer: {primary}:3544 may hold ");
    let count = seen.iter().filter(|line| line.contains(&warned)).count();
    assert_eq!(count, 1, "{seen:#?}");
    let seen = buffer(4096);
    assert!(
        !seen.iter().any(|line| line.contains("ReceiveBuffer")),
        "{seen:#?}"
    );
}

/// A reload gives the sockets another receive buffer.
#[test]
#[cfg(target_os = "linux")]
fn a_reload_changes_the_buffers() {
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let write = |bytes: u32| {
        let text = format!("ServerBindAddress {primary}\nWorkers 2\nReceiveBuffer {bytes}\n");
        scratch.write("conf", &text)
    };
    let config = write(16_384);
    let mut server = Server::start(ordinary(&scratch).arg("--local").arg("-c").arg(config));
    assert_eq!(harness::receive_buffers(primary), [16_384; 2]);
    for bytes in [65_536, 32_768] {
        write(bytes);
        server.signal(nix::sys::signal::Signal::SIGHUP);
        server.expect("reloaded");
        assert_eq!(harness::receive_buffers(primary), [bytes; 2]);
    }
    server.stop();
}

/// Once a minute, with the address that it was for; all of it is counted.
#[test]
#[cfg(target_os = "linux")]
fn drops_are_said_once() {
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let text = format!("ServerBindAddress {primary}\nWorkers 1\nReceiveBuffer 4096\n");
    let config = scratch.write("conf", &text);
    let mut server = Server::start(ordinary(&scratch).arg("--local").arg("-c").arg(config));
    let client = Client::new(primary);
    let patience = std::time::Duration::from_secs(1);
    client.socket.set_read_timeout(Some(patience)).unwrap();
    let mut asked = 0;
    let mut ask = |nonce| {
        client.solicit(primary, nonce, false);
        asked += 1;
    };
    for round in 0..2 {
        nix::sys::signal::kill(server.worker(), nix::sys::signal::Signal::SIGSTOP).unwrap();
        for nonce in 0..1000 {
            ask(nonce);
        }
        nix::sys::signal::kill(server.worker(), nix::sys::signal::Signal::SIGCONT).unwrap();
        if round == 0 {
            server.expect("no room to receive: primary address");
        }
        // The answer to the last question: nothing waits any more.
        let last = (1000..).find(|nonce| {
            ask(*nonce);
            client.hears(*nonce)
        });
        assert!(last.is_some());
    }
    let seen = server.stop();
    let told = |words: &str| seen.iter().filter(|line| line.contains(words)).count();
    assert_eq!(told("no room to receive: "), 1, "{seen:#?}");
    let stopped = seen.last().unwrap();
    let number = |words: &str| -> u64 {
        let before = stopped.split(words).next().unwrap();
        before.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let (answered, lost) = (number(" datagrams answered"), number(" lost"));
    assert_eq!(answered + lost, asked, "{seen:#?}");
    assert!(lost > 1000, "{seen:#?}");
}

/// A cone solicitation is answered from the other address.
#[test]
fn cone_answers_by_the_other() {
    let scratch = Scratch::new();
    let (primary, secondary) = addresses();
    if !has(secondary) {
        return;
    }
    let server = Server::start(ordinary(&scratch).arg("--local").arg(primary.to_string()));
    let client = Client::new(primary);
    for (asked, answers) in [(primary, secondary), (secondary, primary)] {
        client.solicit(asked, 3, true);
        assert_eq!(client.advertisement().from, answers);
    }
    server.stop();
}

/// One address mode serves all but cone solicitations.
#[test]
fn one_address_answers_no_cone() {
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let file = scratch.write("conf", "ServerBindAddress2 none\n");
    let mut command = ordinary(&scratch);
    let server = Server::start(
        command
            .arg("--local")
            .arg("-c")
            .arg(file)
            .arg(primary.to_string()),
    );
    let client = Client::new(primary);
    client.solicit(primary, 4, true);
    // Answered in order: had the first been answered, its nonce would come first.
    client.ask(primary, 5);
    server.stop();
}

/// As OpenBSD and NetBSD start daemons, only worse.
#[test]
fn a_low_file_limit_is_raised() {
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let config = scratch.write("conf", "Workers 16\n");
    let mut command = Command::new("sh");
    let script = "ulimit -S -n 48; exec \"$0\" \"$@\"";
    command.arg("-c").arg(script).arg(scratch.program());
    let server = Server::start(
        command
            .arg("--local")
            .arg("-c")
            .arg(config)
            .arg(primary.to_string()),
    );
    Client::new(primary).ask(primary, 7);
    server.stop();
}

#[test]
fn bubbles_pass_between_clients() {
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let server = Server::start(ordinary(&scratch).arg("--local").arg(primary.to_string()));
    let (here, there) = (Client::new(primary), Client::new(primary));
    let bubble = bubble(primary, &here, &there);
    here.socket.send_to(&bubble, (primary, 3544)).unwrap();
    let mut bytes = [0; 256];
    let (len, from) = there.socket.recv_from(&mut bytes).unwrap();
    assert_eq!(from, (primary, 3544).into());
    let mapped = here.mapped();
    let mut expected = vec![0, 0];
    expected.extend((!mapped.port()).to_be_bytes());
    expected.extend((!mapped.ip().to_bits()).to_be_bytes());
    expected.extend(&bubble);
    assert_eq!(bytes[..len], expected[..]);
    server.stop();
}

/// A bubble from one client to another (RFC 4380 section 2.8), built without the code under test.
fn bubble(server: std::net::Ipv4Addr, from: &Client, to: &Client) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, 59, 0];
    for client in [from, to] {
        let mapped = client.mapped();
        packet.extend([0x20, 1, 0, 0]);
        packet.extend(server.octets());
        packet.extend([0, 0]);
        packet.extend((!mapped.port()).to_be_bytes());
        packet.extend((!mapped.ip().to_bits()).to_be_bytes());
    }
    packet
}

/// A line for each answer, at most ten a second, then how many more.
#[test]
fn a_trial_shows_life() {
    const ASKED: u64 = 50;
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut command = ordinary(&scratch);
    command.env("RUST_LOG", "bogus");
    let mut server = Server::start(command.arg("--local").arg(primary.to_string()));
    let client = Client::new(primary);
    let begin = std::time::Instant::now();
    for nonce in 0..ASKED {
        client.ask(primary, nonce);
    }
    let seconds = begin.elapsed().as_secs();
    let line = format!("sent router advertisement to {}", client.mapped());
    let shown = |server: &Server| {
        let lines = server.seen.iter().filter(|seen| seen.ends_with(&line));
        u64::try_from(lines.count()).unwrap()
    };
    let mut more = 0;
    server.expect(&line);
    while shown(&server) + more < ASKED {
        let line = server.expect("sent ");
        if let Some(count) = line.strip_suffix(" more packets") {
            let (_, count) = count.rsplit_once(' ').unwrap();
            more += count.parse::<u64>().unwrap();
        }
    }
    // A second begins with its first packet.
    assert!(shown(&server) <= 10 * (seconds + 1), "{:#?}", server.seen);
    assert_eq!(shown(&server) + more, ASKED);
    let said = server.stop();
    let warning = "RUST_LOG=\"bogus\" names neither a level";
    assert!(said[0].contains(warning), "{}", said[0]);
}

/// The variable alone tells nothing: whoever starts a shell below systemd inherits it.
#[cfg(target_os = "linux")]
#[test]
fn journal_lines_carry_priorities() {
    for (stream, first) in [
        ("$(stat -Lc %d:%i /proc/self/fd/2)", "<6>serving"),
        ("1:1", "["),
    ] {
        let scratch = Scratch::new();
        let (primary, _) = addresses();
        let mut command = Command::new("sh");
        let script = format!("JOURNAL_STREAM={stream} exec \"$0\" \"$@\"");
        command.arg("-c").arg(script).arg(scratch.program());
        let mut server = Server::spawn(command.arg("--local").arg(primary.to_string()));
        let line = server.expect("serving");
        assert!(line.starts_with(first), "{stream}: {line}");
        server.stop();
    }
}

#[cfg(not(target_os = "linux"))]
#[test]
fn siginfo_logs_a_line_of_counters() {
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut server = Server::start(ordinary(&scratch).arg("--local").arg(primary.to_string()));
    Client::new(primary).ask(primary, 6);
    let expected = "since start: received 1 (primary address), sent 1 (router advertisement); since the last report: ";
    for news in [
        "received 1 (primary address), sent 1 (router advertisement)",
        "nothing",
    ] {
        server.signal(nix::sys::signal::Signal::SIGINFO);
        server.expect(&format!("{expected}{news}"));
    }
    server.stop();
}

//! The life of the daemon as its administrator sees it: start, privileges, reload, replacement, stop. Needs root.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::system::{absent_address, has_open, ids, until};
use harness::{Client, Scratch, Server, addresses, another_address, has, root, secondary_of};
use nix::sys::signal::{Signal, kill};

fn configuration(primary: Ipv4Addr) -> String {
    let secondary = secondary_of(primary);
    format!("ServerBindAddress {primary}\n{secondary}AllowPrivateAddresses yes\nWorkers 2\n")
}

fn foreground(scratch: &Scratch, config: &Path) -> Command {
    let mut command = Command::new(scratch.program());
    command
        .arg("-f")
        .arg("-c")
        .arg(config)
        .arg("-p")
        .arg(scratch.path("pid"));
    command
}

fn start(scratch: &Scratch, primary: Ipv4Addr) -> Server {
    let config = scratch.write("conf", &configuration(primary));
    Server::start(&mut foreground(scratch, &config))
}

/// A line of /proc/PID/status, its words parted by single spaces.
#[cfg(target_os = "linux")]
fn status(pid: nix::unistd::Pid, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap();
    line.trim_start_matches(':')
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn the_worker_has_no_privilege() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let server = start(&scratch, primary);
    Client::new(primary).ask(primary, 1);
    let worker = server.worker();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let (uid, gid) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    assert_eq!(ids(worker), [uid, uid, uid, gid, gid, gid]);
    #[cfg(target_os = "linux")]
    has_no_privilege_of_linux(worker);
    // No terminal of root's to type into.
    assert_eq!(nix::unistd::getsid(Some(worker)), Ok(worker));
    server.stop();
}

#[cfg(target_os = "linux")]
fn has_no_privilege_of_linux(worker: nix::unistd::Pid) {
    assert_eq!(status(worker, "Groups"), "");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(worker, set), "0000000000000000", "{set}");
    }
    assert_eq!(status(worker, "NoNewPrivs"), "1");
    assert_eq!(status(worker, "CapBnd"), "0000000000000000");
    // A filter of system calls, in every thread.
    for thread in fs::read_dir(format!("/proc/{worker}/task")).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(status.contains("\nSeccomp:\t2\n"), "{status}");
    }
    let limits = fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
    for (limit, value) in [
        ("Max processes", "0"),
        ("Max open files", "3"),
        ("Max file size", "0"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        let values = line.trim_start_matches(limit).split_whitespace();
        assert_eq!(values.take(2).collect::<Vec<_>>(), [value; 2], "{line}");
    }
    let root = format!("/proc/{worker}/root");
    assert_ne!(fs::read_link(&root).unwrap(), Path::new("/"));
    assert_eq!(
        fs::read_dir(&root).map(Iterator::count).unwrap_or_default(),
        0
    );
}

/// A user of its own is not: nothing is said of it.
#[test]
fn nobody_is_shared() {
    if !root() {
        return;
    }
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    for (user, is_shared) in [
        (None, true),
        (Some(nobody.uid.to_string()), true),
        (Some("daemon".to_owned()), false),
    ] {
        let scratch = Scratch::new();
        let (primary, _) = addresses();
        let config = scratch.write("conf", &configuration(primary));
        let mut command = foreground(&scratch, &config);
        command.args(user.iter().flat_map(|user| ["-u", user]));
        let mut server = Server::start(&mut command);
        server.signal(Signal::SIGHUP);
        server.expect("reloaded");
        let said = server.stop();
        let warnings = said
            .iter()
            .filter(|line| line.contains("user nobody is shared"));
        assert_eq!(
            warnings.count(),
            usize::from(is_shared),
            "{user:?}: {said:#?}"
        );
    }
}

/// A directory of root's would lead the worker out of its empty one, and a pipe keeps whoever reads it waiting.
#[test]
fn nothing_is_inherited() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let config = scratch.write("conf", &configuration(primary));
    // As a shell's <(...) names a file. FreeBSD has no such names unless fdescfs(5) is mounted.
    let by_number = match Path::new("/dev/fd/0").exists() && !cfg!(target_os = "freebsd") {
        true => Path::new("/dev/fd/9"),
        false => &config,
    };
    let directory = scratch.path("").canonicalize().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$@\" 7< \"$0\" 9< \"$0/conf\""])
        .arg(&directory)
        .arg(scratch.program())
        .args(["-f", "-c"])
        .arg(by_number)
        .arg("-p")
        .arg(scratch.path("pid"));
    let server = Server::start(&mut command);
    for pid in [server.pid(), server.worker()] {
        for file in [&directory, &config] {
            assert!(!has_open(pid, file), "{pid} holds {}", file.display());
        }
    }
    server.stop();
}

/// As nothing but env(1) of GNU starts a program.
#[test]
#[cfg(target_os = "linux")]
fn signals_work_though_blocked() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let config = scratch.write("conf", &configuration(primary));
    let server = foreground(&scratch, &config);
    let mut command = Command::new("env");
    command
        .args(["--block-signal", "--ignore-signal=CHLD"])
        .arg(server.get_program())
        .args(server.get_args());
    let mut server = Server::start(&mut command);
    assert_eq!(status(server.pid(), "SigBlk"), "0000000000000000");
    kill(server.worker(), Signal::SIGKILL).unwrap();
    let line = server.expect("the worker died");
    assert!(line.contains("signal: 9"), "{line}");
    server.expect("serving again");
    server.stop();
}

/// The process id file names the monitor and goes with it.
#[test]
fn the_pid_file_names_the_monitor() {
    if !root() {
        return;
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let scratch = Scratch::new();
        let (primary, _) = addresses();
        let mut server = start(&scratch, primary);
        let worker = server.worker();
        let pid = fs::read_to_string(scratch.path("pid")).unwrap();
        assert_eq!(pid.trim(), server.pid().to_string());
        for nothing in [Signal::SIGUSR1, Signal::SIGUSR2] {
            server.signal(nothing);
            kill(worker, nothing).unwrap();
        }
        // A terminal's Ctrl-C and `pkill` reach the worker too; it leaves the decision to the monitor.
        for left_to_monitor in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
            kill(worker, left_to_monitor).unwrap();
        }
        Client::new(primary).ask(primary, 2);
        assert_eq!(server.worker(), worker);
        server.signal(signal);
        assert!(server.wait().success());
        assert!(!scratch.path("pid").exists());
        assert!(kill(worker, None).is_err(), "the worker is gone");
    }
}

/// 2,000 solicitations a second.
const INTERVAL: Duration = Duration::from_micros(500);

/// What is on its way at once: less than the buffers of the sockets hold, however late a busy machine lets anybody read.
const WINDOW: u64 = 100;

#[test]
fn reload_loses_no_datagram() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut server = start(&scratch, primary);
    let client = Client::new(primary);
    let (done, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut due = Instant::now();
            let mut nonce = 0;
            while !done.load(Ordering::Relaxed) {
                if nonce - answered.load(Ordering::Relaxed) < WINDOW {
                    client.solicit(primary, nonce, false);
                    nonce += 1;
                }
                due += INTERVAL;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            nonce
        });
        let receiver = scope.spawn(|| {
            // The nonce that no solicitation of the sender carries ends the count.
            while client.advertisement().nonce != u64::MAX {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut last = server.worker();
        for _ in 0..10 {
            server.signal(Signal::SIGHUP);
            server.expect("reloaded");
            assert_ne!(server.worker(), last, "a new worker");
            last = server.worker();
        }
        done.store(true, Ordering::Relaxed);
        let sent = sender.join().unwrap();
        // The same flow as all before it, so the same queue: it is answered last.
        client.solicit(primary, u64::MAX, false);
        receiver.join().unwrap();
        sent
    });
    assert_eq!(answered.into_inner(), sent);
    assert!(sent > 100, "the load ran through the reloads, {sent} sent");
    server.stop();
}

/// A bad configuration leaves the old one serving.
#[test]
fn a_bad_configuration_is_refused() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut server = start(&scratch, primary);
    let worker = server.worker();
    scratch.write("conf", "ServerBindAddress 127.0.0.0.1\nInterfaceMTU 100\n");
    server.signal(Signal::SIGHUP);
    server.expect("conf:1:19: error");
    server.expect("conf:2:14: error");
    server.expect("not reloaded");
    assert_eq!(server.worker(), worker);
    // An address that this host does not have, from a file that is good.
    let absent = absent_address();
    scratch.write("conf", &configuration(absent));
    server.signal(Signal::SIGHUP);
    let line = server.expect("not reloaded");
    assert!(line.contains(&format!("bind {absent}:3544")), "{line}");
    assert_eq!(server.worker(), worker);
    fs::remove_file(scratch.path("conf")).unwrap();
    server.signal(Signal::SIGHUP);
    server.expect("not reloaded");
    // Nobody writes to it, and the monitor must not wait for one who does.
    nix::unistd::mkfifo(&scratch.path("conf"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    server.signal(Signal::SIGHUP);
    server.expect("not reloaded");
    Client::new(primary).ask(primary, 3);
    server.stop();
}

/// Reload moves to other addresses and keeps those that stay.
#[test]
fn reload_moves_addresses() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, secondary) = addresses();
    let other = another_address();
    if !has(secondary) || !has(other) {
        return;
    }
    let mut server = start(&scratch, primary);
    let client = Client::new(primary);
    let config = format!("{}ServerBindAddress2 {other}\n", configuration(primary));
    scratch.write("conf", &config.replace("Workers 2", "Workers 3"));
    server.signal(Signal::SIGHUP);
    server.expect("reloaded");
    assert_eq!(client.ask(primary, 4).from, primary);
    assert_eq!(client.ask(other, 5).from, other);
    // Nobody is bound there any more: another may be.
    drop(std::net::UdpSocket::bind((secondary, 3544)).unwrap());
    server.stop();
}

/// Reload gives the sockets another receive buffer.
#[test]
#[cfg(target_os = "linux")]
fn reload_changes_receive_buffers() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, secondary) = addresses();
    if !has(secondary) {
        return;
    }
    let mut server = start(&scratch, primary);
    for bytes in [65_536, 131_072] {
        let config = configuration(primary) + &format!("ReceiveBuffer {bytes}\n");
        scratch.write("conf", &config);
        server.signal(Signal::SIGHUP);
        server.expect("reloaded");
        // Two workers have a socket each.
        assert_eq!(harness::receive_buffers(primary), [bytes; 2]);
    }
    // An address that this host does not have, beside one that stays.
    let absent = absent_address();
    let config = format!(
        "{}ServerBindAddress2 {absent}\nReceiveBuffer 262144\n",
        configuration(primary)
    );
    scratch.write("conf", &config);
    server.signal(Signal::SIGHUP);
    server.expect("not reloaded");
    assert_eq!(harness::receive_buffers(primary), [131_072; 2]);
    // Sockets that come beside those that stay.
    let config = configuration(primary).replace("Workers 2", "Workers 3");
    scratch.write("conf", &(config + "ReceiveBuffer 262144\n"));
    server.signal(Signal::SIGHUP);
    server.expect("reloaded");
    assert_eq!(harness::receive_buffers(primary), [262_144; 3]);
    server.stop();
}

/// A dead worker is replaced at once and then with growing delay.
#[test]
fn a_dead_worker_is_replaced() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut server = start(&scratch, primary);
    let client = Client::new(primary);
    for words in [
        "starting a new one now",
        "starting a new one in 1 s",
        "starting a new one in 2 s",
    ] {
        let worker = server.worker();
        kill(worker, Signal::SIGKILL).unwrap();
        let line = server.expect("the worker died");
        assert!(line.contains("signal: 9") && line.contains(words), "{line}");
        // What arrives in between waits in the socket, which the monitor holds.
        client.ask(primary, 6);
        server.expect("serving again");
        assert_ne!(server.worker(), worker);
    }
    server.stop();
}

/// A memory fault is told as one, not as a system call of whoever took the worker over.
#[test]
fn a_memory_fault_is_told() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let mut server = start(&scratch, addresses().0);
    for fault in [Signal::SIGSEGV, Signal::SIGBUS] {
        kill(server.worker(), fault).unwrap();
        let line = server.expect("the worker died");
        assert!(line.contains(fault.as_str()), "{line}");
        server.expect("serving again");
    }
    server.stop();
}

/// A program that is gone is waited for.
#[test]
fn a_lost_program_is_waited_for() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut server = start(&scratch, primary);
    fs::remove_file(scratch.program()).unwrap();
    server.signal(Signal::SIGHUP);
    let line = server.expect("not reloaded, still serving");
    assert!(
        line.contains("execute") && line.contains("No such file"),
        "{line}"
    );
    kill(server.worker(), Signal::SIGKILL).unwrap();
    server.expect("no worker:");
    server.signal(Signal::SIGHUP);
    server.expect("not reloaded, and no worker serves");
    // Copies it again.
    scratch.program();
    server.expect("serving again");
    Client::new(primary).ask(primary, 7);
    server.stop();
}

/// The worker does not outlive its monitor.
#[test]
fn no_worker_outlives_its_monitor() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut server = start(&scratch, primary);
    let worker = server.worker();
    server.signal(Signal::SIGKILL);
    server.wait();
    until("the worker ends", || kill(worker, None).is_err());
    // A file that a killed server left behind does not keep the next one from starting.
    assert!(scratch.path("pid").exists());
    start(&scratch, primary).stop();
}

//! The process ID file of this server and of the C server: whichever starts second on the file of the other is told so, and leaves
//! it alone.
#![cfg(test)]
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod lab;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use lab::{DEADLINE, Namespace, PrivateDir, Subject};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const C_SERVER: &str = "/usr/sbin/miredo-server";
const OURS: &str = env!("CARGO_BIN_EXE_miredo-server");

#[test]
fn two_servers_do_not_share_a_file() {
    if !lab::require(&["ip", C_SERVER]) {
        return;
    }
    let [host, other] = ["first", "second"].map(Namespace::new);
    for namespace in [&host, &other] {
        namespace.address("lo", "192.0.2.1/24");
        namespace.address("lo", "192.0.2.2/24");
    }
    let configuration = "ServerBindAddress 192.0.2.1\n";
    for first in [OURS, C_SERVER] {
        let mut server = Subject::at(first).start(&host, configuration, 2);
        let pid_file = server.pid_file();
        let written = || fs::read_to_string(&pid_file).unwrap();
        // Each writes it before it opens its sockets.
        let before = written();
        assert_ne!(before, "", "{first}");
        for second in [OURS, C_SERVER] {
            let refused = start(second, &other, configuration, &pid_file);
            let said = String::from_utf8_lossy(&refused.stderr);
            assert_eq!(refused.status.code(), Some(1), "{second}: {said}");
            assert!(said.contains(pid_file.to_str().unwrap()), "{said}");
            assert_eq!(written(), before, "{second} after {first}");
        }
        assert!(server.process().ended().is_none(), "{first}");
        server.stop();
        assert!(!pid_file.exists(), "{first}");
    }
}

/// A filter of system calls, or a file system that lost its server, refuses the unlock.
#[test]
fn a_stop_needs_no_unlock() {
    if !lab::require(&["ip", "strace"]) {
        return;
    }
    let host = Namespace::new("unlock");
    let dir = PrivateDir::new();
    let pid_file = dir.path().join("pid");
    let [trace, pid] = [dir.path().join("trace"), pid_file.clone()];
    let [trace, pid] = [&trace, &pid].map(|path| path.to_str().unwrap());
    let options = ["-o", trace, "-e", "inject=flock:error=EPERM:when=2+"];
    let server = [OURS, "--local", "-p", pid];
    let mut server = host.spawn("strace", &[&options[..], &server].concat());
    server.wait_for_output("serving", DEADLINE);
    let number = fs::read_to_string(&pid_file).unwrap();
    kill(
        Pid::from_raw(number.trim().parse().unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    let status = server.wait();
    assert!(status.success(), "{status}: {}", server.output());
    assert!(!pid_file.exists());
    assert!(fs::read_to_string(trace).unwrap().contains("flock("));
}

/// On a host of its own, so that nothing but the file is in its way; ended if it serves.
fn start(program: &str, host: &Namespace, configuration: &str, pid_file: &Path) -> Output {
    let dir = PrivateDir::new();
    let file = dir.write("miredo-server.conf", configuration);
    let mut command: Command = host.command("timeout", &["-k", "5", "10", program, "-f", "-c"]);
    command.arg(file).arg("-p").arg(pid_file).output().unwrap()
}

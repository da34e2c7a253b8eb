//! The daemon as a boot script starts it: detached, with its log in syslog(3). Needs root.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")] // Of mount namespaces and of capabilities.
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use harness::system::newest_child_of;
use harness::{Client, DEADLINE, Scratch, addresses, may_run, output, root};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A daemon in a mount namespace of its own, where /dev holds nothing but `null` and this test's `log`.
struct Daemon {
    scratch: Scratch,
    log: UnixDatagram,
}

impl Daemon {
    fn start(config: &str) -> Self {
        let scratch = Scratch::new();
        scratch.write("conf", config);
        fs::create_dir(scratch.path("dev")).unwrap();
        let log = UnixDatagram::bind(scratch.path("dev/log")).unwrap();
        log.set_read_timeout(Some(DEADLINE)).unwrap();
        let daemon = Self { scratch, log };
        let started = output(&mut daemon.command());
        // Quiet: not a word on the terminal when all is well, and exit 0 once it serves.
        assert!(started.status.success(), "{started:?}");
        assert_eq!(
            (started.stdout.as_slice(), started.stderr.as_slice()),
            (&b""[..], &b""[..])
        );
        daemon
    }

    fn command(&self) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec"]);
        command.arg(
            "mknod -m 666 \"$1/dev/null\" c 1 3\nmount --bind \"$1/dev\" /dev\nshift\nexec \"$@\"",
        );
        command
            .arg("sh")
            .arg(self.scratch.path("").as_os_str())
            .arg(self.scratch.program());
        command
            .arg("-c")
            .arg(self.scratch.path("conf"))
            .arg("-p")
            .arg(self.pid_file());
        command
    }

    fn pid_file(&self) -> PathBuf {
        self.scratch.path("pid")
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(
            fs::read_to_string(self.pid_file())
                .unwrap()
                .trim()
                .parse()
                .unwrap(),
        )
    }

    /// The next line of the system log: `<priority>` and the words after the tag.
    fn logged(&self) -> (u8, String) {
        let mut bytes = [0; 2048];
        let len = self.log.recv(&mut bytes).expect("a line in the log");
        let line = String::from_utf8_lossy(&bytes[..len]).into_owned();
        let (priority, rest) = line.strip_prefix('<').unwrap().split_once('>').unwrap();
        let (tag, words) = rest.split_once("]: ").unwrap();
        assert!(tag.contains("miredo-server["), "{line}");
        (
            priority.parse().unwrap(),
            words.trim_end_matches('\0').to_owned(),
        )
    }

    fn stop(self) {
        let pid = self.pid();
        kill(pid, Signal::SIGTERM).unwrap();
        let (_, words) = self.logged();
        assert!(words.starts_with("stopped"), "{words}");
        let deadline = Instant::now() + DEADLINE;
        while self.pid_file().exists() {
            assert!(Instant::now() < deadline, "the process-id file stays");
            std::thread::yield_now();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.pid_file().exists() {
            let _ = kill(self.pid(), Signal::SIGKILL);
        }
    }
}

fn configuration(primary: Ipv4Addr) -> String {
    format!("ServerBindAddress {primary}\nAllowPrivateAddresses yes\nSyslogFacility local3\n")
}

/// The facilities' numbers of RFC 5424 section 6.2.1, times eight, and the severities' of the same.
const LOCAL3: u8 = 19 * 8;
const LOCAL4: u8 = 20 * 8;
const ERROR: u8 = 3;
const WARNING: u8 = 4;
const INFO: u8 = 6;

#[test]
fn it_detaches_when_it_serves_and_logs_to_its_facility() {
    if !root() {
        return;
    }
    let (primary, _) = addresses();
    let daemon = Daemon::start(&configuration(primary));
    let pid = daemon.pid();
    // The starting shell has its prompt back: from here on the server must answer, with no wait.
    Client::new(primary).ask(primary, 1);
    let (priority, words) = daemon.logged();
    assert_eq!(priority, LOCAL3 + WARNING);
    assert!(words.starts_with("user nobody is shared"), "{words}");
    let (priority, words) = daemon.logged();
    assert_eq!(priority, LOCAL3 + INFO);
    assert!(words.starts_with(&format!("serving {primary}")), "{words}");

    let file = fs::metadata(daemon.pid_file()).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o644);
    for number in 0..3 {
        let file = fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
        assert_eq!(
            file.file_name(),
            Path::new("/dev/null").file_name(),
            "{}",
            file.display()
        );
    }
    assert_eq!(
        fs::read_link(format!("/proc/{pid}/cwd")).unwrap(),
        Path::new("/")
    );
    let session = nix::unistd::getsid(Some(pid)).unwrap();
    assert_ne!(
        session,
        nix::unistd::getsid(None).unwrap(),
        "a session of its own"
    );

    fs::write(
        daemon.scratch.path("conf"),
        configuration(primary).replace("local3", "local4"),
    )
    .unwrap();
    kill(pid, Signal::SIGHUP).unwrap();
    let (priority, words) = daemon.logged();
    assert_eq!(priority, LOCAL4 + INFO);
    assert!(words.contains("reloaded"), "{words}");

    fs::write(
        daemon.scratch.path("conf"),
        "ServerBindAddress 192.0.2.1\nInterfaceMTU 1\n",
    )
    .unwrap();
    kill(pid, Signal::SIGHUP).unwrap();
    let (priority, words) = daemon.logged();
    assert_eq!(priority, LOCAL4 + ERROR);
    assert!(words.contains("conf:2:14"), "{words}");
    let (priority, words) = daemon.logged();
    assert_eq!(priority, LOCAL4 + ERROR);
    assert!(words.contains("not reloaded"), "{words}");

    kill(newest_child_of(pid), Signal::SIGKILL).unwrap();
    let (priority, words) = daemon.logged();
    assert_eq!(priority, LOCAL4 + WARNING);
    assert!(words.contains("the worker died"), "{words}");
    let (priority, words) = daemon.logged();
    assert_eq!(priority, LOCAL4 + INFO);
    assert!(words.starts_with("serving again"), "{words}");
    Client::new(primary).ask(primary, 2);
    daemon.stop();
}

#[test]
fn an_ordinary_user_with_one_capability_serves_without_root() {
    if !root() || !may_run(Path::new("/usr/bin/setpriv").exists(), "needs setpriv(1)") {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let config = scratch.write("conf", &configuration(primary));
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args(["--inh-caps=+net_raw", "--ambient-caps=+net_raw"]);
    command
        .arg(scratch.program())
        .arg("-f")
        .arg("-c")
        .arg(&config)
        .arg("-p")
        .arg(scratch.path("pid"));
    let server = harness::Server::start(&mut command);
    Client::new(primary).ask(primary, 3);
    let status = fs::read_to_string(format!("/proc/{}/status", server.worker())).unwrap();
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(
            status.contains(&format!("{set}:\t0000000000000000")),
            "{set}: {status}"
        );
    }
    // It chose no user.
    let said = server.stop();
    assert!(!said.iter().any(|line| line.contains("shared")), "{said:?}");
}

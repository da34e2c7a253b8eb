//! What a test asks of the system that it runs on, in ways that Linux, the BSDs and macOS share.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Condvar, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::DEADLINE;

/// Runs a command that ends by itself, and does not wait for ever if it does not.
pub fn output(command: &mut Command) -> Output {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let pid = pid(&child);
    let (sender, ended) = channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    ended.recv_timeout(DEADLINE).map_or_else(
        |_| {
            let _ = kill(pid, Signal::SIGKILL);
            panic!("{command:?} does not end");
        },
        Result::unwrap,
    )
}

/// Waits for the end of a child.
pub fn wait(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("a child ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// Waits until `done`, which an event of another process brings about.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// The child of a process that was started last (pgrep(1)).
pub fn newest_child_of(process: Pid) -> Pid {
    let child = said("pgrep", &["-n", "-P", &process.to_string()]);
    let child = child.trim().parse();
    Pid::from_raw(child.unwrap_or_else(|_| panic!("{process} has no child")))
}

/// The user ids of a process, then its group ids: effective, real, saved (ps(1)).
pub fn ids(process: Pid) -> Vec<u32> {
    let columns = "uid=,ruid=,svuid=,gid=,rgid=,svgid=".split(',');
    let columns = columns.flat_map(|column| ["-o", column]);
    let process = process.to_string();
    let arguments: Vec<_> = columns.chain(["-p", &process]).collect();
    let ids = said("ps", &arguments);
    ids.split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect()
}

/// How often the threads of a process gave a processor away, which each wakeup ends with.
#[cfg(target_os = "linux")]
pub fn switches(pid: Pid) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let switches = threads.map(|thread| {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .unwrap();
        line.trim().parse::<u64>().unwrap()
    });
    switches.sum()
}

/// Whether a process has a file open. Linux tells its path; the others its number, by fstat(1) or lsof(8).
pub fn has_open(process: Pid, path: &Path) -> bool {
    if cfg!(target_os = "linux") {
        let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        let mut open = open.map(|entry| fs::read_link(entry.unwrap().path()).unwrap());
        return open.any(|open| open == path);
    }
    let program = match cfg!(target_os = "macos") {
        true => "lsof",
        false => "fstat",
    };
    let number = fs::metadata(path).unwrap().ino().to_string();
    let open = said(program, &["-p", &process.to_string()]);
    assert!(open.lines().count() > 1, "{open}");
    open.split_whitespace().any(|word| word == number)
}

/// An IPv4 address for documentation (RFC 5737) that this host does not have.
pub fn absent_address() -> Ipv4Addr {
    let mut candidates = [[192, 0, 2, 1], [198, 51, 100, 1], [203, 0, 113, 1]]
        .into_iter()
        .map(Ipv4Addr::from);
    let absent = candidates.find(|address| !has_address(*address));
    absent.expect("one of three documentation addresses is nowhere")
}

pub fn has_address(address: Ipv4Addr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// True where every address of 127.0.0.0/8 is this host's, as on Linux. Elsewhere it is 127.0.0.1 and what was added to it.
pub fn has_many_addresses() -> bool {
    has_address(Ipv4Addr::new(127, 54, 54, 54))
}

/// The right to use the port of the server, where tests share an address. A thread may have several.
pub struct Turn {
    shared: bool,
}

/// Who uses the port, and how many turns that thread has.
static USER: Mutex<Option<(ThreadId, u32)>> = Mutex::new(None);
static PORT_IS_FREE: Condvar = Condvar::new();

impl Turn {
    pub fn new() -> Self {
        let shared = !has_many_addresses();
        if shared {
            let me = std::thread::current().id();
            let user = USER.lock().unwrap();
            let mut user = PORT_IS_FREE
                .wait_while(user, |user| user.is_some_and(|(thread, _)| thread != me))
                .unwrap();
            *user = Some((me, user.map_or(1, |(_, turns)| turns + 1)));
        }
        Self { shared }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.shared {
            let mut user = USER.lock().unwrap();
            *user = user.filter(|(_, turns)| *turns > 1);
            match user.as_mut() {
                Some((_, turns)) => *turns -= 1,
                None => PORT_IS_FREE.notify_one(),
            }
        }
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = output(Command::new(program).args(arguments));
    String::from_utf8(output.stdout).unwrap()
}

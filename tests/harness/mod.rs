//! A running server, and a client that asks it.
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::arithmetic_side_effects,
    reason = "each test crate uses its part; an overflow in a test is a failed test"
)]

pub mod system;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use system::Turn;
pub use system::output;

/// No event of these tests takes longer on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The daemon under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_miredo-server");

/// A directory for one test, gone afterwards; open to every user, as the tests change theirs. Where tests share an address, the
/// next one waits for it: [`Turn`].
pub struct Scratch(PathBuf, Turn);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let turn = Turn::new();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Not the directory that macOS gives each user: nobody else, and these tests change theirs, comes into that of root.
        let path = PathBuf::from(format!("/tmp/miredo-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        Self(path, turn)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program where any user may execute it: the build directory may be closed to them.
    pub fn program(&self) -> PathBuf {
        let path = self.path("miredo-server");
        if !path.exists() {
            // By another process: were the copy open for writing here while another test forks, it could not be executed.
            assert!(
                Command::new("cp")
                    .arg(PROGRAM)
                    .arg(&path)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Two adjacent loopback addresses, such as no other test of this process uses where the system has many: else 127.0.0.1, and
/// the next one, which it [may have](has).
pub fn addresses() -> (Ipv4Addr, Ipv4Addr) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    if !system::has_many_addresses() {
        return (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()[1];
    // Test crates run one after the other, but a crashed one may have left a server behind.
    let process = std::process::id().to_be_bytes()[3].max(1);
    (
        Ipv4Addr::new(127, process, number, 1),
        Ipv4Addr::new(127, process, number, 2),
    )
}

/// One more address, with no server at it; this host [may have](has) it.
pub fn another_address() -> Ipv4Addr {
    match system::has_many_addresses() {
        true => addresses().0,
        false => Ipv4Addr::new(127, 0, 0, 3),
    }
}

/// True where this host has the secondary address; a test that needs it is skipped otherwise.
pub fn has(secondary: Ipv4Addr) -> bool {
    may_run(
        system::has_address(secondary),
        &format!("needs {secondary}: ifconfig lo0 alias {secondary}"),
    )
}

/// What a configuration says of the secondary address: nothing, or that there is none where this host lacks the one after
/// `primary`.
pub fn secondary_of(primary: Ipv4Addr) -> &'static str {
    match system::has_address(Ipv4Addr::from_bits(primary.to_bits() + 1)) {
        true => "",
        false => "ServerBindAddress2 none\n",
    }
}

/// A server in the foreground. Killed when dropped.
pub struct Server {
    child: Child,
    lines: Receiver<String>,
    pub seen: Vec<String>,
}

impl Server {
    /// Starts the command and waits until it says that it serves.
    pub fn start(command: &mut Command) -> Self {
        let mut server = Self::spawn(command);
        server.expect("serving ");
        server
    }

    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line on stderr with these words in it.
    pub fn expect(&mut self, words: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(rest) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(error) => panic!("no line with {words:?} ({error}); seen: {:#?}", self.seen),
            }
        }
    }

    pub fn pid(&self) -> Pid {
        system::pid(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// The process id of the worker that was started last: the one before it may not have ended yet.
    pub fn worker(&self) -> Pid {
        system::newest_child_of(self.pid())
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let status = system::wait(&mut self.child);
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return status,
                Err(RecvTimeoutError::Timeout) => panic!("its standard error stays open"),
            }
        }
    }

    /// Ends it as an administrator does.
    pub fn stop(mut self) -> Vec<String> {
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        assert!(status.success(), "{status}: {:#?}", self.seen);
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes that each socket at the address may hold, as ss(8) sees it from outside.
#[cfg(target_os = "linux")]
pub fn receive_buffers(address: Ipv4Addr) -> Vec<u32> {
    let sockets = output(Command::new("ss").args(["-Huamn", "src", &address.to_string()]));
    let sockets = String::from_utf8(sockets.stdout).unwrap();
    let sizes = sockets.split(",rb").skip(1);
    // The kernel doubles it: socket(7).
    sizes
        .map(|size| size.split(',').next().unwrap().parse::<u32>().unwrap() / 2)
        .collect()
}

/// Sends solicitations from an address of its own.
pub struct Client {
    pub socket: UdpSocket,
}

impl Client {
    pub fn new(own: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind(SocketAddrV4::new(own, 0)).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket }
    }

    pub fn mapped(&self) -> SocketAddrV4 {
        match self.socket.local_addr().unwrap() {
            std::net::SocketAddr::V4(address) => address,
            std::net::SocketAddr::V6(_) => unreachable!("bound to an IPv4 address"),
        }
    }

    pub fn solicit(&self, server: Ipv4Addr, nonce: u64, cone: bool) {
        self.socket
            .send_to(&solicitation(nonce, cone), (server, 3544))
            .unwrap();
    }

    /// The next advertisement: who sent it, its nonce, the mapped address that it tells.
    pub fn advertisement(&self) -> Advertisement {
        let mut bytes = [0; 2048];
        let (len, from) = self.socket.recv_from(&mut bytes).expect("an advertisement");
        let bytes = &bytes[..len];
        assert_eq!(len, 117, "{bytes:02x?}");
        assert_eq!(bytes[..4], [0, 1, 0, 0], "authentication header");
        assert_eq!(bytes[13..15], [0, 0], "origin indication");
        let port = !u16::from_be_bytes([bytes[15], bytes[16]]);
        let address = !u32::from_be_bytes([bytes[17], bytes[18], bytes[19], bytes[20]]);
        assert_eq!(bytes[61], 134, "Router Advertisement");
        Advertisement {
            from: from.ip(),
            nonce: u64::from_be_bytes(bytes[4..12].try_into().unwrap()),
            mapped: SocketAddrV4::new(Ipv4Addr::from_bits(address), port),
        }
    }

    /// Whether the answer with this nonce comes before the patience of the socket ends.
    pub fn hears(&self, nonce: u64) -> bool {
        let mut bytes = [0; 2048];
        while self.socket.recv(&mut bytes).is_ok() {
            if bytes[4..12] == nonce.to_be_bytes() {
                return true;
            }
        }
        false
    }

    /// Asks and waits for the answer.
    pub fn ask(&self, server: Ipv4Addr, nonce: u64) -> Advertisement {
        self.solicit(server, nonce, false);
        let answer = self.advertisement();
        assert_eq!(answer.nonce, nonce);
        answer
    }
}

/// What a client reads in an advertisement.
#[derive(Debug, PartialEq, Eq)]
pub struct Advertisement {
    pub from: std::net::IpAddr,
    pub nonce: u64,
    pub mapped: SocketAddrV4,
}

/// A Router Solicitation as clients send it (RFC 4380 section 5.2.1), built without the code under test.
pub fn solicitation(nonce: u64, cone: bool) -> Vec<u8> {
    let mut packet = vec![0, 1, 0, 0];
    packet.extend(nonce.to_be_bytes());
    packet.push(0);
    packet.extend([0x60, 0, 0, 0, 0, 8, 58, 255]);
    let flags = if cone { 0x80 } else { 0 };
    let source = [
        0xfe, 0x80, 0, 0, 0, 0, 0, 0, flags, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    ];
    let all_routers = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let sum: u32 = [&source[..], &all_routers, &[0, 8, 0, 58, 133, 0]]
        .concat()
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let folded = !(((sum & 0xffff) + (sum >> 16)) as u16);
    packet.extend(source);
    packet.extend(all_routers);
    packet.extend([133, 0]);
    packet.extend(folded.to_be_bytes());
    packet.extend([0; 4]);
    packet
}

/// True when the test may go on; says loudly that it is skipped otherwise, and fails where CI is set.
pub fn may_run(needed: bool, what: &str) -> bool {
    if !needed {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: {what}");
        // Not eprintln, which the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
    }
    needed
}

/// True for root; a test that needs it is skipped otherwise.
pub fn root() -> bool {
    may_run(nix::unistd::geteuid().is_root(), "needs root")
}

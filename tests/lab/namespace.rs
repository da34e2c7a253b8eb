//! Hosts and cables.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Once;
use std::thread;

use nix::sched::{CloneFlags, setns};

use super::cleanup::{remove, remove_leftovers};
use super::{Process, unique};

/// A network namespace: one host of the laboratory.
///
/// Its loopback is up, reverse path filters are off, and IPv6 addresses are usable at once
/// (no duplicate address detection, no router discovery).
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// `role` is for people who read `ip netns` or a failure.
    pub(crate) fn new(role: &str) -> Self {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(remove_leftovers);
        let name = unique(role);
        ip(&format!("netns add {name}"));
        let namespace = Self { name };
        for setting in [
            "ipv4/conf/all/rp_filter=0",
            "ipv4/conf/default/rp_filter=0",
            "ipv6/conf/all/accept_dad=0",
            "ipv6/conf/default/accept_dad=0",
            "ipv6/conf/default/accept_ra=0",
            "ipv6/conf/default/router_solicitations=0",
        ] {
            namespace.sysctl(setting);
        }
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs `ip` inside, its arguments separated by blanks; panics when it fails.
    #[track_caller]
    pub(crate) fn ip(&self, arguments: &str) -> String {
        ip(&format!("-n {} {arguments}", self.name))
    }

    /// Gives `interface` an address with its prefix length, as `192.0.2.1/24`.
    #[track_caller]
    pub(crate) fn address(&self, interface: &str, address: &str) {
        self.ip(&format!("address add {address} dev {interface}"));
    }

    /// Adds a route; `destination` may be `default`.
    #[track_caller]
    pub(crate) fn route(&self, destination: &str, gateway: &str) {
        let family = if gateway.contains(':') { "-6" } else { "-4" };
        self.ip(&format!("{family} route add {destination} via {gateway}"));
    }

    /// Makes the host a router for IPv4 and IPv6.
    pub(crate) fn forward(&self) {
        self.sysctl("ipv4/ip_forward=1");
        self.sysctl("ipv6/conf/all/forwarding=1");
    }

    /// Sets one kernel setting below /proc/sys/net, as `ipv4/ip_forward=1`.
    pub(crate) fn sysctl(&self, setting: &str) {
        let (key, value) = setting.split_once('=').unwrap();
        let path = Path::new("/proc/sys/net").join(key);
        self.within(|| fs::write(&path, value))
            .unwrap_or_else(|error| {
                panic!(
                    "write {value} to {} in {}: {error}",
                    path.display(),
                    self.name
                )
            });
    }

    /// Loads an nftables ruleset.
    #[track_caller]
    pub(crate) fn nft(&self, ruleset: &str) {
        let mut child = self
            .command("nft", &["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(ruleset.as_bytes())
            .unwrap();
        text_of("nft -f -", child.wait_with_output().unwrap());
    }

    /// Packets that each named counter of an nftables table (as `inet watch`) has seen.
    #[track_caller]
    pub(crate) fn counters(&self, table: &str) -> BTreeMap<String, u64> {
        let listing = self.run(&format!("nft list counters table {table}"));
        let mut words = listing.split_whitespace();
        let mut counters = BTreeMap::new();
        // counter NAME { packets COUNT bytes COUNT }
        while words.any(|word| word == "counter") {
            let name = words.next().unwrap();
            let packets = words.nth(2).unwrap();
            counters.insert(name.to_owned(), packets.parse().unwrap());
        }
        counters
    }

    /// Runs one command inside, its words separated by blanks, to its end. Returns its standard
    /// output; panics when it fails.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (program, arguments) = words.split_first().unwrap();
        // timeout(1) ends one that does not end by itself.
        let arguments = [&["60", program], arguments].concat();
        let output = self.command("timeout", &arguments).output().unwrap();
        text_of(&format!("{line} in {}", self.name), output)
    }

    /// A command that will run inside.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name, program])
            .args(arguments);
        command
    }

    /// Starts a long-lived process inside.
    pub(crate) fn spawn(&self, program: &str, arguments: &[&str]) -> Process {
        Process::spawn(self.command(program, arguments), program)
    }

    /// Runs `work` on a thread that lives inside: sockets it opens belong to this host for good,
    /// wherever they are used afterwards, and /proc/net and /proc/sys/net are this host's
    /// (/proc/net as /proc/thread-self/net).
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let file = File::open(Path::new("/run/netns").join(&self.name)).unwrap();
                setns(file, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// How many UDP sockets are bound to IPv4 `port` here.
    pub(crate) fn udp_sockets_on(&self, port: u16) -> usize {
        let wanted = format!(":{port:04X}");
        let table = self
            .within(|| fs::read_to_string("/proc/thread-self/net/udp"))
            .unwrap();
        table
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1))
            .filter(|local| local.ends_with(&wanted))
            .count()
    }

    /// The name that `ip netns` shows.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Joins two hosts with a cable: a pair of interfaces, both up, without addresses.
#[track_caller]
pub(crate) fn link(one: &Namespace, interface: &str, other: &Namespace, other_interface: &str) {
    ip(&format!(
        "link add {interface} netns {} type veth peer name {other_interface} netns {}",
        one.name, other.name
    ));
    one.ip(&format!("link set {interface} up"));
    other.ip(&format!("link set {other_interface} up"));
}

#[track_caller]
fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    text_of(&format!("ip {arguments}"), output)
}

#[track_caller]
fn text_of(what: &str, output: Output) -> String {
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{what}: {}: {text}{errors}",
        output.status
    );
    text
}

//! Two hosts whose driver has programs at both ends of the cable, and which processor does what there.
//!
//! What arrives at an end is taken from its ring by a kernel thread (threaded NAPI), which stays on the processor of its host. Its
//! time is what the driver's part costs. At the clients' end it runs before all else, so that whatever else runs on the machine
//! makes no ring overflow.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::process::Command;

use miredo_server::acceleration::rules;
use miredo_server::server::Settings;
use nix::sched::sched_setaffinity;
use nix::unistd::{Pid, gettid};
use platform::accelerator::Mode;
use platform::xdp::bench::{Empty, Sink};
use platform::xdp::{Clock, Interface, Program};

use super::frame::Ethernet;
use crate::Fault;
use crate::namespace::{Lab, Namespace};
use crate::plan::{CLIENT_ADDRESSES, CLIENTS, SERVERS};

/// The cable, its clients' end with a sink.
pub(crate) struct Cable {
    pub(crate) lab: Lab,
    pub(crate) clients: Interface,
    pub(crate) sink: Sink,
    servers: Interface,
    /// The kernel threads of the servers' end.
    threads: Vec<Pid>,
    /// The program there is ours.
    accelerated: bool,
    /// Holds it.
    _link: OwnedFd,
}

/// Frames that did not fit a ring: of questions, of answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lost(pub(crate) u64, pub(crate) u64);

/// The names that [`Lab`] gives to the ends.
const SERVERS_END: &str = "up0";
const CLIENTS_END: &str = "down0";

impl Cable {
    /// A cable. The servers' end has our program, for a server with these settings, or one that lets everything pass. A server
    /// would attach ours behind the driver of such a cable, since it does not know that the other end has a program, too.
    pub(crate) fn new(settings: Option<&Settings>) -> Result<Self, Fault> {
        let clients = (0..CLIENT_ADDRESSES).map(|at| Ipv4Addr::from_bits(CLIENTS.to_bits() + at));
        let clients: Vec<_> = clients.collect();
        let second = Ipv4Addr::from_bits(SERVERS.to_bits() + 1);
        let lab = Lab::new(&[SERVERS, second], &clients)?;
        let (interface, sink) = lab.clients.within(|| {
            // Checksums that are right, as a network card would send them.
            command("ethtool", &["-K", CLIENTS_END, "tx", "off"])?;
            let interface = Interface::named(CLIENTS_END)?;
            let sink = Sink::attach(&interface)?;
            Ok((interface, sink))
        })?;
        let (servers, link) = lab.servers.within(|| {
            let servers = Interface::named(SERVERS_END)?;
            let link = match settings {
                Some(settings) => {
                    let bound = (settings.primary, settings.secondary);
                    let rules = rules(settings, bound, true);
                    let program = Program::load(&rules, servers.ethernet, Clock::Kernel)?;
                    program.attach(&servers, &[Mode::Native])?.link
                }
                None => Empty::load()?.attach(&servers)?,
            };
            Ok((servers, link))
        })?;
        first(&threads(&lab.clients, CLIENTS_END)?)?;
        let threads = threads(&lab.servers, SERVERS_END)?;
        Ok(Self {
            lab,
            clients: interface,
            sink,
            servers,
            threads,
            accelerated: settings.is_some(),
            _link: link,
        })
    }

    /// Has the servers' end run before all else, too, or take turns. Servers on sockets would starve.
    pub(crate) fn prefer(&self, driver: bool) -> Result<(), Fault> {
        match driver && self.accelerated {
            true => first(&self.threads),
            false => turns(&self.threads),
        }
    }

    /// The Ethernet addresses of questions.
    pub(crate) fn ethernet(&self) -> Ethernet {
        (self.servers.ethernet, self.clients.ethernet)
    }

    /// Nanoseconds of the servers' processor that the driver has had.
    pub(crate) fn cpu(&self) -> Result<u64, Fault> {
        let mut sum = 0;
        for thread in &self.threads {
            let text = fs::read_to_string(format!("/proc/{thread}/schedstat"))?;
            let word = text.split_whitespace().next().unwrap_or_default();
            sum += word.parse::<u64>()?;
        }
        Ok(sum)
    }

    /// What did not fit the rings, so far.
    pub(crate) fn lost(&self) -> Result<Lost, Fault> {
        let questions = self.lab.clients.within(|| transmit_drops(CLIENTS_END))?;
        let answers = self.lab.servers.within(|| transmit_drops(SERVERS_END))?;
        Ok(Lost(questions, answers))
    }
}

/// Frames that an interface could not hand over, datagrams of sockets and frames of XDP alike (`veth_get_stats64`,
/// drivers/net/veth.c in the kernel).
fn transmit_drops(interface: &str) -> Result<u64, Fault> {
    let text = fs::read_to_string("/proc/thread-self/net/dev")?;
    let mut lines = text.lines().filter_map(|line| line.trim().split_once(':'));
    let line = lines.find(|(name, _)| *name == interface);
    // Eight columns are what was received.
    let word = line.and_then(|(_, columns)| columns.split_whitespace().nth(11));
    Ok(word.ok_or("/proc/net/dev lacks an interface")?.parse()?)
}

/// Has kernel threads poll an interface, on the processors of its host; says which.
fn threads(host: &Namespace, interface: &str) -> Result<Vec<Pid>, Fault> {
    let named = format!("napi/{interface}-");
    let before = tasks(&named)?;
    let file = format!("/sys/class/net/{interface}/threaded");
    let script = format!("mount -t sysfs none /sys && echo 1 > {file}");
    host.within(|| command("unshare", &["--mount", "sh", "-c", &script]))?;
    let mut threads = Vec::new();
    for thread in tasks(&named)?.difference(&before) {
        let id = Pid::from_raw(*thread);
        sched_setaffinity(id, host.cores())?;
        threads.push(id);
    }
    match threads.is_empty() {
        true => Err(format!("{interface} has no threaded NAPI").into()),
        false => Ok(threads),
    }
}

/// Has threads run before all else.
fn first(threads: &[Pid]) -> Result<(), Fault> {
    for thread in threads {
        command("chrt", &["--fifo", "--pid", "1", &thread.to_string()])?;
    }
    Ok(())
}

/// Has threads take turns with all else.
fn turns(threads: &[Pid]) -> Result<(), Fault> {
    for thread in threads {
        command("chrt", &["--other", "--pid", "0", &thread.to_string()])?;
    }
    Ok(())
}

/// Has the calling thread, and those that it begins, run before most else.
pub(crate) fn hurry() -> Result<(), Fault> {
    let this = gettid().to_string();
    command("renice", &["-n", "-20", "-p", &this]).map(drop)
}

/// Kernel threads whose name begins with this.
fn tasks(named: &str) -> Result<BTreeSet<i32>, Fault> {
    let mut tasks = BTreeSet::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if let (true, Ok(id)) = (
            name.starts_with(named),
            entry.file_name().to_string_lossy().parse(),
        ) {
            tasks.insert(id);
        }
    }
    Ok(tasks)
}

/// Runs a program in the calling thread's network namespace; says what it said.
fn command(program: &str, arguments: &[&str]) -> Result<String, Fault> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("{program} {}: {}", arguments.join(" "), said.trim()).into())
        }
    }
}

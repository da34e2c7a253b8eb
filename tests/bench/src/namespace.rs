//! Two hosts and a cable. Nameless network namespaces: the kernel removes them with the last process inside, however that ends.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, setns, unshare};
use nix::unistd::Pid;

use crate::Fault;

/// A host of its own, and the processors that what runs on it may use.
pub(crate) struct Namespace {
    file: File,
    cores: CpuSet,
    core_count: usize,
}

/// Servers on one, clients on the other, half of the processors for each.
pub(crate) struct Lab {
    pub(crate) servers: Namespace,
    pub(crate) clients: Namespace,
}

impl Lab {
    /// ```text
    ///   clients, CLIENTS/24 ----- cable ----- SERVERS/24, servers
    /// ```
    /// Every other address is routed to the clients, whose host drops in silence what is not for it.
    pub(crate) fn new(servers_at: &[Ipv4Addr], clients_at: &[Ipv4Addr]) -> Result<Self, Fault> {
        let (first, second) = halves()?;
        let servers = Namespace::new(first)?;
        let clients = Namespace::new(second)?;
        servers.within(|| {
            ip(&format!(
                "link add up0 type veth peer name down0 netns /proc/{}/fd/{}",
                std::process::id(),
                clients.file.as_raw_fd()
            ))
        })?;
        servers.furnish("up0", servers_at)?;
        clients.furnish("down0", clients_at)?;
        let server = servers_at.first().ok_or("servers need an address")?;
        let client = clients_at.first().ok_or("clients need an address")?;
        clients.within(|| ip(&format!("route add default via {server} dev down0 onlink")))?;
        servers.within(|| {
            ip(&format!("route add {client}/32 dev up0"))?;
            ip(&format!("route add default via {client}"))
        })?;
        Ok(Self { servers, clients })
    }
}

impl Namespace {
    fn new(cores: CpuSet) -> Result<Self, Fault> {
        let file = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .map_err(|error| format!("network namespace: {error} (this needs root)"))?;
            Ok(File::open("/proc/thread-self/ns/net")?)
        })?;
        let core_count = (0..CpuSet::count())
            .filter(|core| cores.is_set(*core).unwrap_or(false))
            .count();
        Ok(Self {
            file,
            cores,
            core_count,
        })
    }

    /// How many processors it has.
    pub(crate) fn core_count(&self) -> usize {
        self.core_count
    }

    /// Which they are.
    #[cfg(feature = "xdp")]
    pub(crate) fn cores(&self) -> &CpuSet {
        &self.cores
    }

    /// Runs `work` inside on a thread of its own: its sockets, threads and children are inside too.
    pub(crate) fn within<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, Fault> + Send,
    ) -> Result<T, Fault> {
        on_a_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET)
                .map_err(|error| format!("setns: {error}"))?;
            sched_setaffinity(Pid::from_raw(0), &self.cores)
                .map_err(|error| format!("sched_setaffinity: {error}"))?;
            work()
        })
    }

    fn furnish(&self, interface: &str, addresses: &[Ipv4Addr]) -> Result<(), Fault> {
        self.within(|| {
            for key in ["all", "default", interface] {
                // Sources are whatever a flood says that they are.
                fs::write(format!("/proc/sys/net/ipv4/conf/{key}/rp_filter"), "0")
                    .map_err(|error| format!("rp_filter of {key}: {error}"))?;
            }
            ip("link set lo up")?;
            for address in addresses {
                ip(&format!("address add {address}/24 dev {interface}"))?;
            }
            ip(&format!("link set {interface} up"))
        })
    }
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T, Fault> + Send) -> Result<T, Fault> {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(_) => Err("a thread in a network namespace failed".into()),
    })
}

/// The processors of this machine that we may use, for servers and for clients; with a single one, both have it.
fn halves() -> Result<(CpuSet, CpuSet), Fault> {
    let all = sched_getaffinity(Pid::from_raw(0))?;
    let cores: Vec<usize> = (0..CpuSet::count())
        .filter(|core| all.is_set(*core).unwrap_or(false))
        .collect();
    let (first, second) = cores.split_at(cores.len() / 2);
    let set = |cores: &[usize]| -> Result<CpuSet, Fault> {
        let mut set = CpuSet::new();
        for core in cores {
            set.set(*core)?;
        }
        Ok(set)
    };
    match first {
        [] => Ok((all, all)),
        _ => Ok((set(first)?, set(second)?)),
    }
}

fn ip(arguments: &str) -> Result<(), Fault> {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .map_err(|error| format!("ip: {error} (package iproute2)"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("ip {arguments}: {}", said.trim()).into())
        }
    }
}

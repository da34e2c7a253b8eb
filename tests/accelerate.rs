//! A server that answers and drops in the network driver. Root only.
//!
//! ```text
//!     198.18.0.1 and .2/16            198.18.0.254/16 and the client, .66
//!          server ------------------------- world
//! ```
#![cfg(test)]
#![cfg(target_os = "linux")]
#![cfg(feature = "xdp")]
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;
mod lab;

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;

use harness::system::newest_child_of;
use harness::{Advertisement, Client, solicitation};
use lab::{DEADLINE, Namespace, Server, Subject, link, wait_until};
use miredo_server::acceleration;
use miredo_server::daemon::status::Status;
use miredo_server::server::{Policy, Settings};
use miredo_server::wire::address::ServicePrefix;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use platform::Here;
use platform::accelerator::{Accelerator, Mode};
use platform::xdp::{Clock, Interface, Program};
use socket2::{Domain, Protocol, Socket, Type};

const PRIMARY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const SECONDARY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 66);

/// How `ip -d link` shows a program.
const PROGRAM: &str = "prog/xdp";

struct Network {
    server: Server,
    host: Namespace,
    world: Namespace,
}

impl Network {
    /// `None`, said loudly, where it cannot run.
    fn new(more: &str) -> Option<Self> {
        if !lab::require(&["ip", "nft"]) {
            return None;
        }
        let (host, world) = (Namespace::new("server"), Namespace::new("world"));
        link(&host, "eth", &world, "eth");
        for address in [PRIMARY, SECONDARY] {
            host.address("eth", &format!("{address}/16"));
        }
        for address in ["198.18.0.254", "198.18.0.66"] {
            world.address("eth", &format!("{address}/16"));
        }
        host.nft(
            "table inet watch {
                counter seen {}
                chain in {
                    type filter hook input priority 0;
                    udp dport 3544 counter name seen
                }
            }",
        );
        let server = Subject::ours().start(&host, &configuration(more), 1);
        Some(Self {
            server,
            host,
            world,
        })
    }

    fn client(&self) -> World {
        self.world.within(|| {
            let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))).unwrap();
            World {
                client: Client::new(CLIENT),
                raw,
            }
        })
    }

    /// Whether the server's interface has a program.
    fn is_accelerated(&self) -> bool {
        self.host.ip("-d link show eth").contains(PROGRAM)
    }

    #[track_caller]
    fn wait_for_program(&self, wanted: bool) {
        let what = format!("the interface has a program: {wanted}");
        wait_until(&what, DEADLINE, || self.is_accelerated() == wanted);
    }

    /// Datagrams for the server that the host itself has seen.
    fn seen(&self) -> u64 {
        self.host.counters("inet watch")["seen"]
    }

    fn reload(&mut self, more: &str) {
        self.server.configure(&configuration(more));
        let before = reloads(&mut self.server);
        self.server.reload();
        wait_until("it reloads", DEADLINE, || {
            reloads(&mut self.server) > before
        });
    }
}

fn reloads(server: &mut Server) -> usize {
    let output = server.process().output();
    output.matches("configuration reloaded").count()
}

fn configuration(more: &str) -> String {
    format!("ServerBindAddress {PRIMARY}\nWorkers 1\nAllowPrivateAddresses yes\n{more}\n")
}

/// What a server tells, in words and as a structure.
fn status(server: &Server) -> (String, Status) {
    let pid_file: PathBuf = server.pid_file();
    let ask = |more: &[&str]| {
        let mut command = Command::new(harness::PROGRAM);
        command.arg("--status").args(more).arg("-p").arg(&pid_file);
        command
            .arg("-c")
            .arg(pid_file.with_file_name("miredo-server.conf"));
        let said = harness::output(&mut command).stdout;
        String::from_utf8(said).unwrap()
    };
    let json = ask(&["--json"]);
    (ask(&[]), serde_json::from_str(&json).unwrap())
}

fn count(server: &Server, name: &str) -> u64 {
    let (_, status) = status(server);
    let mut counters = status.counters.into_iter();
    counters.find(|counter| counter.name == name).unwrap().count
}

/// A client that sends its UDP checksums whole, as the wire has them: those of a UDP socket are left to the interface, and
/// a veth interface leaves them to nobody.
struct World {
    client: Client,
    raw: Socket,
}

impl World {
    fn send(&self, to: Ipv4Addr, payload: &[u8]) {
        let packet = datagram(self.client.mapped(), SocketAddrV4::new(to, 3544), payload);
        self.raw
            .send_to(&packet, &SocketAddrV4::new(to, 0).into())
            .unwrap();
    }

    fn solicit(&self, to: Ipv4Addr, nonce: u64, cone: bool) {
        self.send(to, &solicitation(nonce, cone));
    }

    fn ask(&self, to: Ipv4Addr, nonce: u64, cone: bool) -> Advertisement {
        self.solicit(to, nonce, cone);
        let answer = self.client.advertisement();
        assert_eq!((answer.nonce, answer.mapped), (nonce, self.client.mapped()));
        answer
    }
}

/// A UDP datagram in an IPv4 packet; the kernel fills in the checksum of the header (raw(7)).
fn datagram(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let addresses = [from.ip().octets(), to.ip().octets()].concat();
    let mut udp = [from.port(), to.port(), length, 0]
        .map(u16::to_be_bytes)
        .concat();
    udp.extend(payload);
    let mut words = [&addresses[..], &[0, 17], &length.to_be_bytes(), &udp].concat();
    words.resize(words.len().next_multiple_of(2), 0);
    let words = words.chunks(2);
    let sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    udp[6..8].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0];
    packet.extend(addresses);
    packet.extend(udp);
    packet
}

/// The open files of a process that are of the kernel's BPF.
fn bpf_descriptors(process: Pid) -> Vec<String> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let open = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    let open = open.map(|target| target.display().to_string());
    open.filter(|target| target.contains("bpf")).collect()
}

#[test]
fn the_driver_answers_and_drops_what_the_host_never_sees() {
    let Some(mut network) = Network::new("Accelerate auto") else {
        return;
    };
    network.wait_for_program(true);
    let client = network.client();
    assert_eq!(network.seen(), 0);
    for nonce in 1..=20 {
        let answer = client.ask(PRIMARY, nonce, false);
        assert_eq!(answer.from, PRIMARY);
    }
    let answer = client.ask(PRIMARY, 21, true);
    assert_eq!(answer.from, SECONDARY, "both addresses are of eth");
    client.send(SECONDARY, b"");
    wait_until("the drop is counted", DEADLINE, || {
        count(&network.server, "IPv6 header cut short") == 1
    });
    assert_eq!(network.seen(), 0);
    for (name, expected) in [
        ("primary address", 21),
        ("secondary address", 1),
        ("router advertisement", 21),
    ] {
        assert_eq!(count(&network.server, name), expected, "{name}");
    }
    // What the driver is not sure of is for the sockets.
    client.client.ask(PRIMARY, 22);
    assert_eq!(network.seen(), 1);
    wait_until("that is counted with the rest", DEADLINE, || {
        count(&network.server, "router advertisement") == 22
    });

    let (text, shown) = status(&network.server);
    let [accelerated] = shown.accelerated.as_slice() else {
        panic!("{text}")
    };
    assert_eq!(accelerated.interface, "eth");
    // In the driver, what one end of a veth pair sends is lost, unless the other end has a program, too.
    assert!(text.contains("driver     eth (generic)\n"), "{text}");
    let monitor = network.server.process().pid();
    assert_eq!(bpf_descriptors(monitor).len(), 2);
    let worker = newest_child_of(monitor);
    assert_eq!(shown.worker_pid, u32::try_from(worker.as_raw()).ok());
    assert_eq!(bpf_descriptors(worker), [""; 0]);
    let output = network.server.process().output();
    assert!(!output.contains("Accelerate"), "{output}");
}

#[test]
fn a_reload_and_the_end_of_the_server_take_the_program_away() {
    let Some(mut network) = Network::new("Accelerate eth") else {
        return;
    };
    network.wait_for_program(true);
    let client = network.client();
    client.ask(PRIMARY, 1, false);
    network.reload("Accelerate off");
    network.wait_for_program(false);
    let (text, _) = status(&network.server);
    assert!(text.contains("driver     none\n"), "{text}");
    assert_eq!(count(&network.server, "router advertisement"), 1);
    client.ask(PRIMARY, 2, false);
    assert_eq!(network.seen(), 1);
    // The same is left alone, another is not.
    network.reload("Accelerate eth");
    network.wait_for_program(true);
    let program = |network: &Network| network.host.ip("-d link show eth");
    let first = program(&network);
    network.reload("Accelerate auto");
    assert_eq!(program(&network), first);
    network.reload("Accelerate auto\nInterfaceMTU 1400");
    wait_until("another program is there", DEADLINE, || {
        let now = program(&network);
        now.contains(PROGRAM) && now != first
    });
    client.ask(PRIMARY, 3, false);
    assert_eq!(network.seen(), 1);
    wait_until("all of it is counted", DEADLINE, || {
        count(&network.server, "router advertisement") == 3
    });
    // What cannot be attached is tried again, and what can stays where it is.
    network.reload("Accelerate eth nowhere0");
    let refused = |network: &mut Network, times| {
        wait_until("it is tried", DEADLINE, || {
            let output = network.server.process().output();
            output.matches(" nowhere0: there is no such").count() == times
        });
    };
    refused(&mut network, 1);
    let first = program(&network);
    assert!(first.contains(PROGRAM), "{first}");
    network.reload("Accelerate eth nowhere0");
    refused(&mut network, 2);
    assert_eq!(program(&network), first);
    client.ask(PRIMARY, 4, false);
    wait_until("all of it is counted", DEADLINE, || {
        count(&network.server, "router advertisement") == 4
    });
    network.reload("Accelerate auto\nSecureQualification off");
    network.wait_for_program(true);
    network.server.process().signal(Signal::SIGKILL);
    network.wait_for_program(false);
}

/// As the page says how to switch it off at once; and what else an interface comes to.
#[test]
fn a_program_that_does_nothing_any_more_is_not_shown_and_attached_again() {
    if !lab::require(&["bpftool"]) {
        return;
    }
    let Some(mut network) = Network::new("Accelerate eth") else {
        return;
    };
    network.wait_for_program(true);
    let driver = |network: &Network| {
        let (text, _) = status(&network.server);
        let line = text.lines().find(|line| line.starts_with("driver"));
        line.unwrap().to_owned()
    };
    let attached = "driver     eth (generic)";
    wait_until("it is shown", DEADLINE, || driver(&network) == attached);
    // The newest link is not always that of the server: other tests run, too.
    let program = network.host.ip("-d link show eth");
    let mut words = program.split_whitespace().skip_while(|word| *word != "id");
    let program = words.nth(1).unwrap();
    let links = network.host.run("bpftool link list");
    let link = links.lines().find_map(|line| {
        let (link, kind) = line.split_once(": xdp ")?;
        kind.trim().strip_suffix(program)?.strip_suffix("prog ")?;
        Some(link.to_owned())
    });
    let detach = format!("bpftool link detach id {}", link.expect("the link"));
    network.host.run(&detach);
    network.wait_for_program(false);
    assert_eq!(driver(&network), "driver     none");
    let client = network.client();
    client.ask(PRIMARY, 1, false);
    assert_eq!(network.seen(), 1);
    network.reload("Accelerate eth");
    network.wait_for_program(true);
    wait_until("it is shown", DEADLINE, || driver(&network) == attached);

    // Frames come with another address now.
    network.host.ip("link set eth address 02:00:00:00:00:07");
    assert_eq!(driver(&network), "driver     none");
    network.reload("Accelerate eth");
    wait_until("it is shown", DEADLINE, || driver(&network) == attached);
    let before = network.seen();
    network.world.ip("neighbour flush dev eth");
    client.ask(PRIMARY, 2, false);
    assert_eq!(network.seen(), before);
}

#[test]
fn an_interface_holds_one_program() {
    let Some(network) = Network::new("Accelerate eth") else {
        return;
    };
    network.wait_for_program(true);
    network.host.address("eth", "198.18.0.5/16");
    let other = "ServerBindAddress 198.18.0.5\nServerBindAddress2 none\nWorkers 1\n\
                 AllowPrivateAddresses yes\nAccelerate eth\n";
    let mut other = Subject::ours().start(&network.host, other, 2);
    let process = other.process();
    process.wait_for_output("the sockets serve", DEADLINE);
    let output = process.output();
    let mut warnings = output.lines().filter(|line| line.contains("Accelerate"));
    let warning = warnings.next().unwrap();
    assert!(warning.contains(" eth: "), "{output}");
    assert_eq!(warnings.next(), None);
    let client = network.client();
    client.ask(Ipv4Addr::new(198, 18, 0, 5), 1, false);
    assert!(status(&other).0.contains("driver     none\n"));
    assert!(network.is_accelerated());
}

#[test]
fn what_is_over_the_limit_is_dropped_in_the_driver_and_said() {
    let Some(mut network) = Network::new("RateLimit 1 1\nAccelerate auto") else {
        return;
    };
    network.wait_for_program(true);
    let client = network.client();
    for nonce in 0..100 {
        client.solicit(PRIMARY, nonce, false);
    }
    let words = "datagrams in the driver: receiver over its rate limit";
    network.server.process().wait_for_output(words, DEADLINE);
    assert_eq!(network.seen(), 0);
    let dropped = count(&network.server, "receiver over its rate limit");
    assert!(dropped > 50, "{dropped}");
}

/// A server cannot know whether that works on a veth interface; here both ends have a program.
#[test]
fn a_program_in_the_driver_itself_answers() {
    let Some(network) = Network::new("") else {
        return;
    };
    let attach = |namespace: &Namespace, primary| {
        let rules = acceleration::rules(&settings(primary), (primary, None), false);
        namespace.within(|| {
            let interface = Interface::named("eth").unwrap();
            let program = Program::load(&rules, interface.ethernet, Clock::Kernel).unwrap();
            program.attach(&interface, &[Mode::Native]).unwrap()
        })
    };
    let attached = attach(&network.host, PRIMARY);
    let _other_end = attach(&network.world, Ipv4Addr::new(198, 18, 0, 254));
    let client = network.client();
    for nonce in 1..=20 {
        client.ask(PRIMARY, nonce, false);
    }
    client.send(PRIMARY, b"");
    assert_eq!(network.seen(), 0);
    wait_until("all of it is counted", DEADLINE, || {
        let counts = Here::counts(attached.counters.as_fd()).unwrap();
        (counts.received, counts.advertisements) == ([21, 0], 20)
    });
}

fn settings(primary: Ipv4Addr) -> Settings {
    Settings {
        primary,
        secondary: None,
        own: Vec::new(),
        broadcasts: Vec::new(),
        policy: Policy {
            prefix: ServicePrefix::GLOBAL,
            mtu: 1280,
            allow_private: false,
            rate_limit: None,
            qualification: None,
        },
    }
}

//! The topology: three nodes, a router that shares the questions out among them, and who asks.
//!
//! ```text
//!      192.0.2.1         192.0.2.5, .9, .13 ...
//!        asker             Teredo clients
//!          |                     |
//!   =======+====== router =======+=======
//!            |       |       |
//!  198.51.100.2     .6      .10
//!          node 1  node 2  node 3             each with 203.0.113.10 and .11
//! ```
//!
//! The router has the address before that of each node, and the one after that of each host.
//! Router and nodes have the files of etc/anycast as they are, but for the addresses of node 2.
//! Router, node 1 and node 2 run BIRD. Node 3 runs FRR.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::lab::{DEADLINE, Namespace, PrivateDir, Process, Server, Subject, link, wait_until};

pub(crate) const PRIMARY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
pub(crate) const SECONDARY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 11);
const PREFIX: &str = "203.0.113.10/31";

pub(crate) struct Fleet {
    pub(crate) nodes: [Node; 3],
    router: Router,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let router = Router::new();
        let nodes = [
            Node::new(&router, 1, |host| vec![bird(host, &shipped("bird.conf"))]),
            Node::new(&router, 2, |host| {
                let configuration = shipped("bird.conf");
                let configuration = configuration.replace("198.51.100.2", "198.51.100.6");
                vec![bird(
                    host,
                    &configuration.replace("198.51.100.1 ", "198.51.100.5 "),
                )]
            }),
            Node::new(&router, 3, frr),
        ];
        Self { nodes, router }
    }

    /// A host at the router, with the address before `gateway`.
    pub(crate) fn host(&self, role: &str, number: u8) -> Namespace {
        let host = Namespace::new(role);
        let interface = format!("host{number}");
        link(&host, "wan", &self.router.host, &interface);
        let address = number * 4 + 1;
        host.address("wan", &format!("192.0.2.{address}/30"));
        let gateway = format!("192.0.2.{}", address + 1);
        self.router
            .host
            .address(&interface, &format!("{gateway}/30"));
        host.route("default", &gateway);
        host
    }

    /// A UDP port of host `host` whose datagrams to the server the router sends to node `node`.
    pub(crate) fn port(&self, host: u8, node: u8) -> u16 {
        let (source, next_hop) = (host * 4 + 1, node * 4 - 2);
        let is_sent_there = |port: &u16| {
            let route = self.router.host.ip(&format!(
                "route get {PRIMARY} from 192.0.2.{source} iif host{host} ipproto udp sport {port} dport 3544"
            ));
            route.contains(&format!(" via 198.51.100.{next_hop} "))
        };
        (4500..4600).find(is_sent_there).unwrap()
    }

    /// Waits until the router sends to so many nodes.
    #[track_caller]
    pub(crate) fn wait_for_next_hops(&self, count: usize) {
        wait_until(&format!("{count} next hops"), DEADLINE, || {
            let route = self.router.host.ip(&format!("route show {PREFIX}"));
            route.matches(" via ").count() == count
        });
    }
}

struct Router {
    _bird: Daemon,
    host: Namespace,
}

impl Router {
    fn new() -> Self {
        let host = Namespace::new("router");
        host.forward();
        host.sysctl("ipv4/fib_multipath_hash_policy=1");
        let bird = bird(&host, &shipped("bird-router.conf"));
        Self { _bird: bird, host }
    }
}

pub(crate) struct Node {
    pub(crate) check: Option<Process>,
    pub(crate) server: Option<Server>,
    _routing: Vec<Daemon>,
    dir: PrivateDir,
    pub(crate) host: Namespace,
}

impl Node {
    fn new(router: &Router, number: u8, routing: impl Fn(&Namespace) -> Vec<Daemon>) -> Self {
        let host = Namespace::new(&format!("node{number}"));
        let interface = format!("node{number}");
        link(&host, "wan", &router.host, &interface);
        let gateway = Ipv4Addr::new(198, 51, 100, number * 4 - 3);
        let own = Ipv4Addr::new(198, 51, 100, number * 4 - 2);
        router.host.address(&interface, &format!("{gateway}/30"));
        host.address("wan", &format!("{own}/30"));
        host.route("default", &gateway.to_string());
        for address in [PRIMARY, SECONDARY] {
            host.address("lo", &format!("{address}/32"));
        }
        host.nft(
            "table inet watch {
                counter answers { }
                chain output {
                    type filter hook output priority filter
                    oifname wan udp sport 3544 counter name answers
                }
                counter checks { }
                chain input {
                    type filter hook input priority filter
                    iifname lo udp dport 3544 counter name checks
                }
            }",
        );
        let mut node = Self {
            check: None,
            server: None,
            _routing: routing(&host),
            dir: PrivateDir::new(),
            host,
        };
        node.start_server();
        node.start_check();
        node
    }

    pub(crate) fn start_server(&mut self) {
        self.server = Some(start_server(&self.host));
    }

    pub(crate) fn start_check(&mut self) {
        self.check = Some(start_check(&self.host, &self.dir));
    }

    /// Takes the node out of service as an administrator does.
    #[track_caller]
    pub(crate) fn drain(&mut self) {
        assert!(self.check.take().unwrap().terminate().success());
    }

    /// SIGKILL to the server, all of it.
    pub(crate) fn kill_server(&mut self) {
        self.server = None;
    }

    /// From now on, the node neither hears nor says anything. Its links stay up.
    pub(crate) fn kill(&self) {
        self.host.nft(
            "table inet dead {
                chain input { type filter hook input priority filter; policy drop; }
                chain output { type filter hook output priority filter; policy drop; }
            }",
        );
    }

    /// Waits until the health check has just asked, so that whatever happens now is found as late as can be.
    #[track_caller]
    pub(crate) fn wait_for_check(&self) {
        let checks = || self.host.counters("inet watch")["checks"];
        let before = checks();
        wait_until("a question of the health check", DEADLINE, || {
            checks() >= before + 3
        });
    }

    /// Answers that have left for the router until now.
    pub(crate) fn answers(&self) -> u64 {
        self.host.counters("inet watch")["answers"]
    }
}

pub(crate) fn start_server(host: &Namespace) -> Server {
    Subject::ours().start(host, &format!("ServerBindAddress {PRIMARY}\n"), 2)
}

/// Starts the health check with the sample of its settings.
pub(crate) fn start_check(host: &Namespace, dir: &PrivateDir) -> Process {
    let programs = Path::new(env!("CARGO_BIN_EXE_teredo-probe")).parent();
    let programs = programs.unwrap().to_str().unwrap();
    let script = shipped("teredo-anycast").replace("@BINDIR@", programs);
    let script = dir.write("teredo-anycast", &script);
    let settings = dir.write("anycast.conf", &shipped("anycast.conf.sample"));
    let arguments = [&script, &settings].map(|path| path.to_str().unwrap());
    host.spawn("sh", &arguments)
}

/// A routing daemon with the directory for its sockets.
struct Daemon {
    _process: Process,
    _dir: Option<PrivateDir>,
}

fn bird(host: &Namespace, configuration: &str) -> Daemon {
    let dir = PrivateDir::new();
    let file = dir.write("bird.conf", configuration);
    let [socket, pid_file] = ["bird.ctl", "bird.pid"].map(|name| dir.path().join(name));
    let [file, socket, pid_file] = [&file, &socket, &pid_file].map(|path| path.to_str().unwrap());
    let process = host.spawn("bird", &["-f", "-c", file, "-s", socket, "-P", pid_file]);
    Daemon {
        _process: process,
        _dir: Some(dir),
    }
}

/// Its daemons give up root, so the directory is theirs.
fn frr(host: &Namespace) -> Vec<Daemon> {
    let dir = PrivateDir::new();
    let path = dir.path().to_str().unwrap().to_owned();
    host.run(&format!("chown frr:frr {path}"));
    let file = dir.write("frr.conf", &shipped("frr.conf"));
    let [api, bfd, pid_file] =
        ["zserv.api", "bfdd.sock", "pid"].map(|name| format!("{path}/{name}"));
    let start = |program: &str, more: &[&str]| {
        let pid_file = format!("{pid_file}.{program}");
        let common = [
            "-f",
            "/dev/null",
            "-z",
            &api,
            "--vty_socket",
            &path,
            "-i",
            &pid_file,
        ];
        let process = host.spawn(
            &format!("/usr/lib/frr/{program}"),
            &[&common, more].concat(),
        );
        wait_until("a socket of FRR", DEADLINE, || {
            dir.path().join(format!("{program}.vty")).exists()
        });
        process
    };
    let processes = [
        start("zebra", &[]),
        start("bfdd", &["--bfdctl", &bfd]),
        start("bgpd", &[]),
    ];
    host.run(&format!("vtysh --vty_socket {path} -f {}", file.display()));
    let mut daemons: Vec<Daemon> = processes
        .into_iter()
        .map(|process| Daemon {
            _process: process,
            _dir: None,
        })
        .collect();
    if let Some(last) = daemons.last_mut() {
        last._dir = Some(dir);
    }
    daemons
}

/// A file of etc/anycast.
fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("etc/anycast")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

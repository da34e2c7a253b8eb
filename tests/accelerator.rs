//! A server that was asked to answer in the network driver and cannot: it says why, and serves. And the process that it starts
//! for that, on its own.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.

mod harness;

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};

use harness::system::wait;
use harness::{Client, DEADLINE, Scratch, Server, addresses, root, secondary_of};
use miredo_server::daemon::accelerator::messages::{
    FromAccelerator, Order, Outcome, ToAccelerator,
};
use miredo_server::daemon::accelerator::task::{Interface, Task};
use miredo_server::daemon::messages::{OTHER_VERSION, VERSION};
use miredo_server::server::{Policy, Settings};
use miredo_server::wire::address::ServicePrefix;
use nix::sys::signal::Signal;

/// An accelerator that this test is the monitor of.
struct Accelerator {
    child: Child,
    monitor: UnixStream,
    order: Order,
    _ours: UnixStream,
}

impl Accelerator {
    fn start(scratch: &Scratch, interfaces: &[&str]) -> Self {
        let (monitor, control) = UnixStream::pair().unwrap();
        monitor.set_read_timeout(Some(DEADLINE)).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let [control, theirs] = [control, theirs].map(|end| platform::keep(&end).unwrap());
        let child = Command::new(scratch.program())
            .args(["--accelerator", &control.as_raw_fd().to_string()])
            .spawn()
            .unwrap();
        Self {
            child,
            monitor,
            order: Order {
                version: VERSION,
                descriptors: theirs.as_raw_fd(),
                task: task(interfaces),
            },
            _ours: ours,
        }
    }

    /// What it says, and with which status it ends.
    fn answer(mut self) -> (FromAccelerator, Option<i32>) {
        let order = ToAccelerator::Order(Box::new(self.order));
        let order = serde_json::to_string(&order).unwrap() + "\n";
        self.monitor.write_all(order.as_bytes()).unwrap();
        let mut answer = String::new();
        let mut monitor = BufReader::new(self.monitor);
        monitor.read_line(&mut answer).unwrap();
        let answer = serde_json::from_str(&answer).unwrap();
        (answer, wait(&mut self.child).code())
    }
}

fn task(interfaces: &[&str]) -> Task {
    let primary = Ipv4Addr::new(192, 0, 2, 1);
    let interface = |name: &&str| Interface {
        name: (*name).to_owned(),
        cone: false,
    };
    Task {
        interfaces: interfaces.iter().map(interface).collect(),
        primary,
        secondary: None,
        settings: Settings {
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
        },
    }
}

/// With or without such programs: there are no such interfaces.
#[test]
fn each_refusal_is_told() {
    let scratch = Scratch::new();
    let (answer, status) = Accelerator::start(&scratch, &["nowhere0", "nowhere1"]).answer();
    let FromAccelerator::Done(outcomes) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((outcomes.len(), status), (2, Some(0)));
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let Outcome::Refused(words) = outcome else {
            panic!("{outcome:?}")
        };
        let interface = format!("nowhere{number}: ");
        assert!(words.contains(&interface), "{words}");
    }
}

#[test]
fn another_version_is_refused() {
    let scratch = Scratch::new();
    let mut accelerator = Accelerator::start(&scratch, &["nowhere0"]);
    accelerator.order.version += 1;
    let failed = FromAccelerator::failed(OTHER_VERSION);
    assert_eq!(accelerator.answer(), (failed, Some(1)));
    let mut accelerator = Accelerator::start(&scratch, &["nowhere0"]);
    accelerator.order.descriptors = 1_000_000;
    let (answer, status) = accelerator.answer();
    let FromAccelerator::Failed(words) = answer else {
        panic!("{answer:?}")
    };
    assert!(words.contains("1000000: not open"), "{words}");
    assert_eq!(status, Some(1));
}

/// What a server with a line of configuration says before it stops.
fn said(accelerate: &str, local: bool) -> Vec<String> {
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let secondary = secondary_of(primary);
    let configure = |accelerate: &str| {
        let text = format!(
            "ServerBindAddress {primary}\n{secondary}AllowPrivateAddresses yes\nWorkers 1\n{accelerate}\n"
        );
        scratch.write("conf", &text)
    };
    let conf = configure(accelerate);
    let mut command = Command::new(scratch.program());
    command.arg("-c").arg(conf);
    command.arg("-p").arg(scratch.path("pid"));
    command.arg(if local { "--local" } else { "-f" });
    let mut server = Server::start(&mut command);
    let client = Client::new(primary);
    client.ask(primary, 1);
    server.signal(Signal::SIGHUP);
    server.expect("configuration reloaded");
    client.ask(primary, 2);
    server.stop()
}

fn warnings(said: &[String]) -> usize {
    let warnings = said.iter().filter(|line| line.contains("Accelerate"));
    let warnings = warnings.inspect(|line| {
        assert!(line.contains(" WARN "), "{line}");
        assert!(line.contains("the sockets serve"), "{line}");
    });
    warnings.count()
}

/// The addresses are those of the loopback interface, or of none; and the program may have been built without.
#[test]
fn without_it_the_sockets_serve() {
    if !root() {
        return;
    }
    let said = said("Accelerate auto", false);
    assert_eq!(warnings(&said), 2, "{said:#?}");
}

#[test]
fn unasked_it_says_nothing() {
    if !root() {
        return;
    }
    for (accelerate, local) in [("Accelerate off", false), ("Accelerate auto", true)] {
        let said = said(accelerate, local);
        assert_eq!(warnings(&said), 0, "{said:#?}");
    }
}

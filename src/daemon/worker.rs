//! A worker as it sees itself: opened, confined, serving.
//!
//! The order is a type: nothing serves that is not [`Confined`], and nothing becomes confined twice.

use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic;
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::thread::{self, JoinHandle};

use nix::unistd::{Gid, Uid, setsid};
use platform::{HostAddresses, Identity, Inherited, OsError, PairSockets, Raw, RootDirectory, Udp};

use super::Fault;
use super::channel::Sender;
use super::messages::{
    FromWorker, MonitorChannel, OTHER_VERSION, Order, TIMEOUT, ToWorker, VERSION,
};
use super::plan::Plan;
use super::signals;
use crate::cli::worker::Arguments;
use crate::logging::{self, Target};
use crate::report::Ledger;
use crate::run::{self, Running};
use crate::server::{Server, Settings};
use crate::verdict::Counters;

/// Runs as a worker until the monitor says stop, or is gone.
pub fn main(arguments: &Arguments) -> ExitCode {
    let (inherited, mut stream) = match claim(arguments) {
        Ok(claimed) => claimed,
        // Without the monitor's socket nobody tells where the log is.
        Err(fault) => return fail_on_stderr(&fault),
    };
    if arguments.monitor_is_older() {
        // In the form that it reads.
        let _ = stream.write_all(format!("failed {OTHER_VERSION}\n").as_bytes());
        return ExitCode::FAILURE;
    }
    let mut monitor = match MonitorChannel::new(stream) {
        Ok(monitor) => monitor,
        Err(error) => return fail_on_stderr(&OsError::new("ioctl", "FIONBIO", error).into()),
    };
    abort_on_panic(monitor.sender());
    let serving = match start(inherited, &mut monitor) {
        Ok(serving) => serving,
        Err(fault) => {
            let _ = monitor.send(&FromWorker::failed(&fault.to_string()), TIMEOUT);
            return ExitCode::FAILURE;
        }
    };
    match serving.until_stopped(&mut monitor) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("lost the monitor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn claim(arguments: &Arguments) -> Result<(Inherited, UnixStream), Fault> {
    let mut inherited = Inherited::claim()?;
    let control = inherited.take(arguments.control)?;
    Ok((inherited, control.into()))
}

/// Lets a panic of any thread end the process, so that the monitor replaces it: without one of its threads a worker
/// would leave the clients whom the kernel assigns to that thread's sockets without an answer, for good.
fn abort_on_panic(monitor: Sender<FromWorker>) {
    panic::set_hook(Box::new(move |panic| {
        log::error!("{panic}");
        // A monitor that knows it serves learns of its end alone, and the log has the words.
        let _ = monitor.send(&FromWorker::failed(&format!("the worker {panic}")), TIMEOUT);
        process::abort();
    }));
}

/// All that is done before it serves.
fn start(inherited: Inherited, monitor: &mut MonitorChannel) -> Result<Serving, Fault> {
    signals::leave_to_monitor()?;
    // In the foreground standard error is root's terminal, and who has it for controlling terminal can type into
    // it (TIOCSTI, ioctl_tty(2)).
    setsid().map_err(|error| OsError::new("setsid", "", error))?;
    let order = take_order(monitor)?;
    logging::init(order.log);
    platform::limit(monitor)?;
    Opened::claim(order, inherited)?.confine()?.serve()
}

fn take_order(monitor: &mut MonitorChannel) -> Result<Order, Fault> {
    match monitor.receive(Some(TIMEOUT)) {
        Ok(Some(ToWorker::Order(order))) if order.version == VERSION => Ok(*order),
        Ok(Some(_)) => Err(Fault::new(OTHER_VERSION)),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(Fault::new(OTHER_VERSION)),
        Ok(None) => Err(Fault::new("the monitor ended before it gave an order")),
        Err(error) => Err(Fault::new(format!("no order from the monitor: {error}"))),
    }
}

/// The inherited sockets, with all privilege still there.
struct Opened {
    order: Order,
    pairs: Vec<PairSockets>,
    /// One a pair, or none.
    raw: Vec<OwnedFd>,
    host: HostAddresses,
}

/// The same without privilege.
struct Confined {
    opened: Opened,
    /// The order of start-up as a type: there is no other way to come by one.
    _proof: platform::Confined,
}

/// Threads that serve.
struct Serving {
    running: Running,
    threads: Vec<JoinHandle<()>>,
    ledgers: Vec<Ledger>,
}

impl Opened {
    fn claim(order: Order, mut inherited: Inherited) -> Result<Self, Fault> {
        let mut pairs = Vec::with_capacity(order.udp.len());
        for pair in &order.udp {
            let primary = inherited.take(pair.primary)?;
            let secondary = pair
                .secondary
                .map(|number| inherited.take(number))
                .transpose()?;
            pairs.push(PairSockets { primary, secondary });
        }
        let raw = order.raw.map(|number| inherited.take(number)).transpose()?;
        let raw = raw.iter().cycle().take(pairs.len());
        let raw = raw.map(Raw::share).collect::<Result<_, _>>()?;
        Ok(Self {
            order,
            pairs,
            raw,
            host: platform::host_addresses()?,
        })
    }

    fn confine(self) -> Result<Confined, Fault> {
        let proof = match self.order.owner {
            Some((uid, gid)) => {
                let identity = Identity {
                    uid: Uid::from_raw(uid),
                    gid: Gid::from_raw(gid),
                };
                let root = self.order.root.clone().map(PathBuf::from);
                let root = root.map_or_else(platform::default_root, RootDirectory::Directory);
                platform::confine(&identity, &root)?
            }
            None => platform::confine_unprivileged()?,
        };
        Ok(Confined {
            opened: self,
            _proof: proof,
        })
    }
}

impl Confined {
    fn serve(self) -> Result<Serving, Fault> {
        let Opened {
            order,
            pairs,
            raw,
            host,
        } = self.opened;
        let (running, stop) = run::stop_pair();
        let mut raw = raw.into_iter();
        let mut threads = Vec::with_capacity(pairs.len());
        let mut ledgers = Vec::with_capacity(pairs.len());
        for (number, pair) in (1_usize..).zip(pairs) {
            let udp = Udp::new(pair)?;
            let raw = raw.next().map(Raw::new).transpose()?;
            let server = Server::new(settings(&order.plan, &host));
            let (stop, ledger) = (stop.clone(), Ledger::default());
            ledgers.push(ledger.clone());
            let thread = thread::Builder::new()
                .name(format!("serve-{number}"))
                .spawn(move || run::serve(udp, raw, server, &stop, &ledger))
                .map_err(|error| OsError::new("start thread", number, error))?;
            threads.push(thread);
        }
        Ok(Serving {
            running,
            threads,
            ledgers,
        })
    }
}

impl Serving {
    /// Says that it serves, then answers the monitor until that has nothing more to say, or is gone.
    fn until_stopped(self, monitor: &mut MonitorChannel) -> io::Result<()> {
        monitor.send(&FromWorker::Ready, TIMEOUT)?;
        while let Some(message) = monitor.receive(None)? {
            match message {
                ToWorker::Count => monitor.send(&count(&self.ledgers), TIMEOUT)?,
                ToWorker::Order(_) => return Err(io::Error::other("a second order")),
            }
        }
        let counted = self.stop();
        // A monitor that is gone does not count.
        let _ = monitor.send(&counted, TIMEOUT);
        Ok(())
    }

    fn stop(self) -> FromWorker {
        drop(self.running);
        for thread in self.threads {
            // A thread that panicked has ended the process.
            let _ = thread.join();
        }
        count(&self.ledgers)
    }
}

fn count(ledgers: &[Ledger]) -> FromWorker {
    let mut total = Counters::default();
    for ledger in ledgers {
        total.add(&ledger.read());
    }
    FromWorker::Counted(Box::new(total))
}

fn settings(plan: &Plan, host: &HostAddresses) -> Settings {
    Settings {
        primary: plan.addresses.primary,
        secondary: plan.addresses.secondary,
        own: host.own.clone(),
        broadcasts: host.broadcasts.clone(),
        policy: plan.service.policy.clone(),
    }
}

fn fail_on_stderr(fault: &Fault) -> ExitCode {
    logging::init(Target::Stderr);
    log::error!("{fault}");
    ExitCode::FAILURE
}

//! A worker as it sees itself: opened, confined, serving.
//!
//! Types keep this order: only a [`Confined`] worker can serve, and it is confined once.

use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::mpsc;
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use log::Level;
use platform::{HostAddresses, Inherited, NeighbourShare, OsError, PairSockets, Raw, Udp, Work};

use super::Fault;
use super::messages::{
    FromWorker, MonitorChannel, OTHER_VERSION, Order, TIMEOUT, ToWorker, VERSION,
};
use super::start;
use crate::cli::worker::Arguments;
use crate::logging;
use crate::report::{Ledger, Live, Report};
use crate::run::{self, Running};
use crate::server::Server;
use crate::verdict::Counters;

mod publication;

use publication::Publication;

/// Runs as a worker until the monitor tells it to stop, or is gone.
pub fn main(arguments: &Arguments) -> ExitCode {
    let (inherited, mut stream) = match start::claim(arguments.control) {
        Ok(claimed) => claimed,
        Err(fault) => return start::fail_on_stderr(&fault),
    };
    if arguments.monitor_is_older() {
        // In the form that such a monitor reads.
        let _ = stream.write_all(format!("failed {OTHER_VERSION}\n").as_bytes());
        return ExitCode::FAILURE;
    }
    let mut monitor: MonitorChannel = match start::connect(stream, "the worker", FromWorker::failed)
    {
        Ok(monitor) => monitor,
        Err(fault) => return start::fail_on_stderr(&fault),
    };
    let (serving, publication) = match begin(inherited, &mut monitor) {
        Ok(started) => started,
        Err(fault) => {
            let _ = monitor.send(&FromWorker::failed(&fault.to_string()), TIMEOUT);
            return ExitCode::FAILURE;
        }
    };
    match serving.until_stopped(&mut monitor, publication) {
        Ok(()) => ExitCode::SUCCESS,
        // There is nobody left to tell.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Does everything up to the threads that serve.
fn begin(
    inherited: Inherited,
    monitor: &mut MonitorChannel,
) -> Result<(Serving, Publication), Fault> {
    start::leave_the_monitor()?;
    let order = start::take_order(monitor, |message| match message {
        ToWorker::Order(order) if order.version == VERSION => Some(*order),
        _ => None,
    })?;
    let sender = monitor.sender();
    let offer = move |line| sender.offer(&FromWorker::Logged(line));
    logging::forward(order.log, Box::new(offer));
    platform::limit(monitor)?;
    let publication = Publication::new().map_err(|error| OsError::new("socketpair", "", error))?;
    let confined = Opened::claim(order, inherited)?.confine()?;
    let serving = confined.serve(&publication.waker())?.lock_down(monitor)?;
    Ok((serving, publication))
}

/// A worker that has its sockets and still has all privileges.
struct Opened {
    order: Order,
    pairs: Vec<PairSockets>,
    /// As many as pairs, or none.
    raw: Vec<OwnedFd>,
    host: HostAddresses,
}

/// A worker without privileges.
struct Confined {
    opened: Opened,
    /// What [`platform::confine`] returns, and nothing else makes.
    proof: platform::Confined,
}

/// A worker whose threads serve.
struct Serving {
    proof: platform::Confined,
    running: Running,
    threads: Vec<JoinHandle<()>>,
    ledgers: Vec<Ledger>,
    live: Option<Live>,
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
        let proof = start::confine(self.order.owner, self.order.root.as_ref())?;
        Ok(Confined {
            opened: self,
            proof,
        })
    }
}

impl Confined {
    /// Returns when every loop runs, so that no thread is to come.
    fn serve(self, changed: &Waker) -> Result<Serving, Fault> {
        let Opened {
            order,
            pairs,
            raw,
            host,
        } = self.opened;
        let (running, stop) = run::stop_pair();
        let (started, all_started) = mpsc::channel();
        let mut raw = raw.into_iter();
        let mut threads = Vec::with_capacity(pairs.len());
        let mut ledgers = Vec::with_capacity(pairs.len());
        let server = Server::new(order.plan.settings(&host));
        // A trial shows life; a server that serves others shows it to who looks for faults.
        let live = Live::new(match order.plan.local {
            true => Level::Info,
            false => Level::Debug,
        });
        let sockets = pairs.iter().map(PairSockets::count).sum();
        let share = NeighbourShare::of(sockets);
        let workers = pairs.len();
        for (number, pair) in (1_usize..).zip(pairs) {
            let udp = Udp::new(pair, host.attached.clone(), share)?;
            let raw = raw
                .next()
                .map(|raw| Raw::new(raw, host.attached.clone(), workers));
            let raw = raw.transpose()?;
            let server = server.clone();
            let (stop, ledger) = (stop.clone(), Ledger::new(changed.clone()));
            ledgers.push(ledger.clone());
            let report = Report::new(ledger, live.clone());
            let started = started.clone();
            let started = move || {
                // Whoever waited has given up.
                let _ = started.send(());
            };
            let thread = thread::Builder::new()
                .name(format!("serve-{number}"))
                .spawn(move || run::serve(udp, raw, server, &stop, report, started))
                .map_err(|_| Fault::new(start::NO_THREAD))?;
            threads.push(thread);
        }
        for _ in &threads {
            all_started
                .recv_timeout(TIMEOUT)
                .map_err(|_| Fault::new("a thread does not run"))?;
        }
        Ok(Serving {
            proof: self.proof,
            running,
            threads,
            ledgers,
            live,
        })
    }
}

impl Serving {
    /// Leaves the process nothing that it does not need to serve. Its threads all exist.
    fn lock_down(self, monitor: &MonitorChannel) -> Result<Self, Fault> {
        start::lock_down(
            &self.proof,
            Work::Datagrams,
            monitor,
            FromWorker::FORBIDDEN_CALL,
        )?;
        Ok(self)
    }

    /// Says that it serves, then publishes and answers the monitor until that tells it to stop, or is gone.
    fn until_stopped(
        self,
        monitor: &mut MonitorChannel,
        mut publication: Publication,
    ) -> io::Result<()> {
        monitor.send(&FromWorker::Ready, TIMEOUT)?;
        let sender = monitor.sender();
        loop {
            match monitor.try_receive() {
                Ok(Some(ToWorker::Count)) => {
                    monitor.send(&FromWorker::Counted(self.counters()), TIMEOUT)?;
                    continue;
                }
                Ok(Some(ToWorker::Order(_))) => return Err(io::Error::other("a second order")),
                Ok(None) => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            // A monitor that does not read, as one that was stopped, has it later.
            let _ = monitor.flush();
            let now = Instant::now();
            if publication.is_due(now) && !sender.offer(&FromWorker::Published(self.counters())) {
                publication.repeat(now);
            }
            let live = self.live.as_ref();
            live.inspect(|live| live.tell_rest(now));
            publication.wait(monitor, live.and_then(Live::due))?;
        }
        let counted = FromWorker::Counted(self.stop());
        // It fails when the monitor is gone.
        let _ = monitor.send(&counted, TIMEOUT);
        Ok(())
    }

    fn counters(&self) -> Box<Counters> {
        total(&self.ledgers)
    }

    fn stop(self) -> Box<Counters> {
        drop(self.running);
        for thread in self.threads {
            // It cannot fail: a panic would have ended the process.
            let _ = thread.join();
        }
        total(&self.ledgers)
    }
}

fn total(ledgers: &[Ledger]) -> Box<Counters> {
    let mut total = Box::<Counters>::default();
    for ledger in ledgers {
        total.add(&ledger.read());
    }
    total
}

//! A worker as it sees itself: opened, confined, serving.
//!
//! The order is a type: nothing serves that is not [`Confined`], and nothing becomes confined twice.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic;
use std::process::{self, ExitCode};
use std::str::FromStr;
use std::thread::{self, JoinHandle};

use nix::unistd::{Gid, Uid, setsid};
use platform::{HostAddresses, Identity, Inherited, OsError, PairSockets, Raw, RootDirectory, Udp};

use super::Fault;
use super::order::Order;
use super::signals;
use crate::logging;
use crate::report::Ledger;
use crate::run::{self, Running};
use crate::server::{Policy, Server, Settings};
use crate::verdict::Counters;
use crate::wire::address::ServicePrefix;

/// What a worker says to its monitor, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is confined and serves.
    Ready,
    /// It cannot serve, and ends.
    Failed(String),
    /// It was told to stop, and this is what it did.
    Counted(Box<Counters>),
}

/// Runs as a worker until the monitor says stop, or is gone.
pub fn main(order: Order) -> ExitCode {
    logging::init(order.log);
    let (opened, mut control) = match Opened::claim(order) {
        Ok(claimed) => claimed,
        // Without the monitor's socket there is only the log to say it to.
        Err(fault) => return fail(&fault),
    };
    if let Err(fault) = end_at_a_panic(&control) {
        return fail(&fault);
    }
    let serving = match opened.confine().and_then(|confined| confined.serve()) {
        Ok(serving) => serving,
        Err(fault) => {
            let _ = writeln!(control, "{}", Word::Failed(fault.to_string()));
            return ExitCode::FAILURE;
        }
    };
    match serving.until_told(&mut control) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&Fault::new(format!("lost the monitor: {error}"))),
    }
}

/// Lets a panic of any thread end the process, so that the monitor replaces it: without one of its threads a worker
/// would leave the clients whom the kernel assigns to that thread's sockets without an answer, for good.
fn end_at_a_panic(control: &UnixStream) -> Result<(), Fault> {
    let control = control
        .try_clone()
        .map_err(|error| OsError::new("dup", "", error))?;
    panic::set_hook(Box::new(move |panic| {
        log::error!("{panic}");
        let word = Word::Failed(format!("the worker {panic}"));
        // A monitor that knows it serves learns of its end alone, and the log has the words.
        let _ = writeln!(&mut &control, "{word}");
        process::abort();
    }));
    Ok(())
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
    fn claim(order: Order) -> Result<(Self, UnixStream), Fault> {
        signals::leave_to_monitor()?;
        // In the foreground standard error is root's terminal, and who has it for controlling terminal can type into
        // it (TIOCSTI, ioctl_tty(2)).
        setsid().map_err(|error| OsError::new("setsid", "", error))?;
        let mut inherited = Inherited::claim()?;
        let control = UnixStream::from(inherited.take(order.control)?);
        platform::limit(&control)?;
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
        let host = platform::host_addresses()?;
        Ok((
            Self {
                order,
                pairs,
                raw,
                host,
            },
            control,
        ))
    }

    fn confine(self) -> Result<Confined, Fault> {
        let proof = match self.order.owner {
            Some((uid, gid)) => {
                let identity = Identity {
                    uid: Uid::from_raw(uid),
                    gid: Gid::from_raw(gid),
                };
                let root = self
                    .order
                    .root
                    .clone()
                    .map_or_else(platform::default_root, RootDirectory::Directory);
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
            let server = Server::new(settings(&order, &host));
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
    /// Says that it serves, then answers each octet of the monitor's with what was done so far, until the monitor closes
    /// its end, or is gone.
    fn until_told(self, control: &mut UnixStream) -> io::Result<()> {
        writeln!(control, "{}", Word::Ready)?;
        while control.read(&mut [0])? > 0 {
            writeln!(control, "{}", count(&self.ledgers))?;
        }
        let counted = self.stop();
        // A monitor that is gone does not count.
        let _ = writeln!(control, "{counted}");
        Ok(())
    }

    fn stop(self) -> Word {
        drop(self.running);
        for thread in self.threads {
            // A thread that panicked has ended the process.
            let _ = thread.join();
        }
        count(&self.ledgers)
    }
}

fn count(ledgers: &[Ledger]) -> Word {
    let mut total = Counters::default();
    for ledger in ledgers {
        total.add(&ledger.read());
    }
    Word::Counted(Box::new(total))
}

fn settings(order: &Order, host: &HostAddresses) -> Settings {
    Settings {
        primary: order.primary,
        secondary: order.secondary,
        own: host.own.clone(),
        broadcasts: host.broadcasts.clone(),
        policy: Policy {
            prefix: ServicePrefix::of(order.prefix),
            mtu: order.mtu,
            allow_private: order.allow_private,
            rate_limit: order.rate_limit,
        },
    }
}

fn fail(fault: &Fault) -> ExitCode {
    log::error!("{fault}");
    ExitCode::FAILURE
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            // A line is a word.
            Self::Failed(words) => write!(f, "failed {}", words.replace('\n', " ")),
            Self::Counted(counters) => {
                f.write_str("counted")?;
                counters
                    .numbers()
                    .try_for_each(|number| write!(f, " {number}"))
            }
        }
    }
}

impl FromStr for Word {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "ready" => Ok(Self::Ready),
            "failed" => Ok(Self::Failed(rest.to_owned())),
            "counted" => {
                let numbers = rest.split(' ').map_while(|number| number.parse().ok());
                Counters::try_from(numbers.collect::<Vec<u64>>())
                    .map(|counters| Self::Counted(Box::new(counters)))
            }
            _ => Err(format!("not a worker's word: {line}")),
        }
    }
}

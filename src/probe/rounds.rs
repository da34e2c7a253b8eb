//! Servers asked, all at the same time: between [`Inquiry`] and [`Sockets`].

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::BorrowedFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use platform::OsError;

use super::inquiry::{Event, Inquiry};
use super::question::{Port, Target, Transmit};
use super::sockets::{DATAGRAM_MAX, Heard, Sockets, wait};
use super::stop::Stop;
use super::verdict::{Report, next};
use crate::cli::probe::{Options, Server};
use crate::conf::Secondary;

/// A server of the command line, looked up.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// As the command line has it.
    pub given: String,
    /// As it is called where people read: with its address, if that is something else.
    pub name: String,
    /// Its addresses, or why there are none.
    pub target: Result<Target, String>,
}

/// A server that was asked.
#[derive(Debug)]
pub struct Asked {
    /// As the command line has it.
    pub given: String,
    /// As it is called where people read.
    pub name: String,
    /// What is known of it now.
    pub report: Report,
    /// From where it was asked; none if it could not be.
    pub sockets: Option<Sockets>,
}

/// Something to tell whoever watches.
#[derive(Clone, Copy, Debug)]
pub enum Note<'a> {
    /// A question was asked or decided.
    Event(&'a Inquiry, Event),
    /// A datagram was sent.
    Sent(&'a Transmit),
    /// A datagram came from there.
    Received(SocketAddrV4, &'a [u8]),
}

/// Looks up the servers, until `deadline`.
#[must_use]
pub fn look_up(options: &Options, servers: &[Server], deadline: Instant) -> Vec<Candidate> {
    let waiting: Vec<_> = servers
        .iter()
        .map(|server| {
            let (sender, found) = mpsc::channel();
            let (asked, one_address) = (server.clone(), options.one_address);
            // getaddrinfo(3) cannot be told how long to wait. A thread that still waits ends with the process.
            thread::spawn(move || sender.send(addresses(&asked, one_address)));
            (server, found)
        })
        .collect();
    let candidates = waiting.into_iter().map(|(server, found)| {
        let rest = deadline.saturating_duration_since(Instant::now());
        let target = found.recv_timeout(rest);
        let target = target.unwrap_or_else(|_| Err(format!("look up {server}: no answer")));
        let name = match &target {
            Ok(target) if target.primary.to_string() != server.to_string() => {
                format!("{server} ({target})")
            }
            _ => server.to_string(),
        };
        Candidate {
            given: server.to_string(),
            name,
            target,
        }
    });
    candidates.collect()
}

fn addresses(server: &Server, one_address: bool) -> Result<Target, String> {
    let primary = server
        .primary
        .resolve()
        .map_err(|fault| fault.to_string())?;
    let secondary = match &server.secondary {
        _ if one_address => None,
        Secondary::None => None,
        Secondary::Next => Some(next(primary)),
        Secondary::Host(host) => Some(host.resolve().map_err(|fault| fault.to_string())?),
    };
    Ok(Target { primary, secondary })
}

/// Asks the servers once, until `deadline`, and says what is known of them, in the order of their answers; nothing if it is
/// stopped before.
///
/// # Errors
/// Of poll(2).
pub fn ask(
    options: &Options,
    candidates: &[Candidate],
    deadline: Instant,
    stop: &mut Stop,
    note: &mut dyn FnMut(Note<'_>),
) -> Result<Option<Vec<Asked>>, OsError> {
    let mut under_way: Vec<UnderWay> = candidates
        .iter()
        .map(|candidate| UnderWay::new(options, candidate, deadline))
        .collect();
    loop {
        for one in &mut under_way {
            one.advance(note);
        }
        let Some(until) = under_way.iter().filter_map(UnderWay::wake).min() else {
            break;
        };
        let descriptors = under_way.iter().flat_map(UnderWay::descriptors);
        wait(descriptors.chain(stop.descriptor()), until)?;
        if stop.is_asked() {
            return Ok(None);
        }
        for one in &mut under_way {
            one.receive(note);
        }
    }
    let mut asked: Vec<Asked> = under_way
        .into_iter()
        .map(|one| one.report(options))
        .collect();
    asked.sort_by_key(|asked| {
        let after = asked.report.after().unwrap_or(Duration::MAX);
        (!asked.report.works(), after)
    });
    Ok(Some(asked))
}

struct UnderWay {
    given: String,
    name: String,
    /// What is asked and from where; or whom it was about and what kept it from being asked.
    state: Result<(Inquiry, Sockets), (Target, String)>,
}

impl UnderWay {
    fn new(options: &Options, candidate: &Candidate, deadline: Instant) -> Self {
        let nobody = Target {
            primary: Ipv4Addr::UNSPECIFIED,
            secondary: None,
        };
        let state = candidate
            .target
            .clone()
            .map_err(|why| (nobody, why))
            .and_then(|target| {
                let sockets = Sockets::open(&target, options.source, options.port.unwrap_or(0));
                let sockets = sockets.map_err(|error| (target, error.to_string()))?;
                let now = Instant::now();
                let rest = deadline.saturating_duration_since(now);
                let inquiry = Inquiry::new(target, now, rest).with(options.key.as_ref());
                Ok((inquiry, sockets))
            });
        Self {
            given: candidate.given.clone(),
            name: candidate.name.clone(),
            state,
        }
    }

    fn wake(&self) -> Option<Instant> {
        let (inquiry, _) = self.state.as_ref().ok()?;
        inquiry.wake()
    }

    fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let asking = self
            .state
            .iter()
            .filter(|(inquiry, _)| inquiry.wake().is_some());
        asking.flat_map(|(_, sockets)| sockets.descriptors())
    }

    fn advance(&mut self, note: &mut dyn FnMut(Note<'_>)) {
        let Ok((inquiry, sockets)) = &mut self.state else {
            return;
        };
        inquiry.advance(Instant::now());
        tell(inquiry, note);
        while let Some(datagram) = inquiry.transmit() {
            note(Note::Sent(&datagram));
            if let Err(error) = sockets.send(&datagram) {
                hear_failure(inquiry, &datagram, &error);
            }
        }
        tell(inquiry, note);
    }

    fn receive(&mut self, note: &mut dyn FnMut(Note<'_>)) {
        let Ok((inquiry, sockets)) = &mut self.state else {
            return;
        };
        let mut bytes = [0; DATAGRAM_MAX];
        for port in Port::ALL {
            loop {
                match sockets.receive(port, &mut bytes) {
                    Heard::Nothing => break,
                    Heard::Refused => hear_refusal(inquiry, port),
                    Heard::Datagram(from, len) => {
                        let bytes = bytes.get(..len).unwrap_or_default();
                        if matches!(port, Port::Service | Port::Other) {
                            note(Note::Received(from, bytes));
                            inquiry.receive(Instant::now(), port, from, bytes);
                        }
                    }
                }
            }
        }
        tell(inquiry, note);
    }

    fn report(self, options: &Options) -> Asked {
        let (report, sockets) = match self.state {
            Ok((inquiry, sockets)) => {
                let report = Report::new(&inquiry, sockets.local(), options.expect_prefix);
                (report, Some(sockets))
            }
            Err((target, why)) => (Report::failed(target, why), None),
        };
        Asked {
            given: self.given,
            name: self.name,
            report,
            sockets,
        }
    }
}

fn tell(inquiry: &mut Inquiry, note: &mut dyn FnMut(Note<'_>)) {
    while let Some(event) = inquiry.event() {
        note(Note::Event(inquiry, event));
    }
}

fn hear_refusal(inquiry: &mut Inquiry, port: Port) {
    let target = *inquiry.target();
    let address = match port {
        Port::ToPrimary => Some(target.primary),
        Port::ToSecondary => target.secondary,
        // Which of the datagrams from there was refused is not known.
        Port::Service | Port::Other => None,
    };
    if let Some(address) = address {
        let to = SocketAddrV4::new(address, crate::wire::TEREDO_PORT);
        inquiry.refused(Instant::now(), to);
    }
}

/// Where a connected socket hears of a refusal is the system's choice: while it sends, too.
fn hear_failure(inquiry: &mut Inquiry, datagram: &Transmit, error: &OsError) {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => hear_refusal(inquiry, datagram.port),
        _ => inquiry.failed(
            Instant::now(),
            datagram.port,
            datagram.to,
            &error.to_string(),
        ),
    }
}

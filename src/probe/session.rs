//! A client that stays: it listens, pings, or tests the way to a native address. Between [`Client`] and its socket.

use std::net::Ipv6Addr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::client::{Client, Event};
use super::events::{self, Native};
use super::nat::{Kind, Nat};
use super::out::{Out, print_error};
use super::question::Port;
use super::rounds::{Asked, Note};
use super::sockets::{DATAGRAM_MAX, Heard, Sockets, wait};
use super::stop::Stop;
use super::summary::Summary;
use super::watch::{Fault, judged, round, watch};
use super::{json, text};
use crate::cli::probe::Options;
use crate::wire::address::TeredoAddress;

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Answers.
    Listen,
    /// Asks this one for echoes.
    Ping(Ipv6Addr),
    /// Tests the way to this one.
    Native(Ipv6Addr),
}

impl Task {
    /// The task that the options ask for, if any.
    #[must_use]
    pub fn of(options: &Options) -> Option<Self> {
        let ping = options.ping.map(Self::Ping);
        let native = options.native.map(Self::Native);
        ping.or(native).or(options.listen.then_some(Self::Listen))
    }
}

/// Between two echo requests, unless `--interval` says otherwise.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the last echo request is waited for.
const LINGER: Duration = Duration::from_secs(2);

/// Qualifies, then does what the task is.
///
/// # Errors
/// Of the system's calls.
pub fn run(options: &Options, task: Task, out: &mut Out) -> Result<ExitCode, Fault> {
    let servers = options.servers().len();
    if servers != 1 {
        print_error(match servers {
            0 => "--ping: which server? The address is no Teredo address",
            _ => "a client has one server",
        });
        return Ok(ExitCode::from(2));
    }
    let deadline = Instant::now().checked_add(options.timeout);
    let mut stop = Stop::catch()?;
    let asked = round(options, &mut stop, out)?;
    let Some(asked) = asked.and_then(|asked| asked.into_iter().next()) else {
        return Ok(ExitCode::FAILURE);
    };
    let Some(mut session) = Session::new(options, asked, stop, out)? else {
        return Ok(ExitCode::FAILURE);
    };
    match task {
        Task::Listen => session.listen(),
        Task::Ping(peer) => session.ping(peer),
        Task::Native(address) => session.native(address, deadline),
    }
}

struct Session<'a> {
    options: &'a Options,
    out: &'a mut Out,
    client: Client,
    sockets: Sockets,
    nat: Option<Nat>,
    stop: Stop,
}

impl<'a> Session<'a> {
    /// A client, if server and NAT let this host have one; else it is said why not.
    fn new(
        options: &'a Options,
        asked: Asked,
        stop: Stop,
        out: &'a mut Out,
    ) -> Result<Option<Self>, Fault> {
        let report = &asked.report;
        let (Some(address), Some(sockets)) = (report.address, asked.sockets) else {
            let why = text::verdict(&asked.name, report);
            out.line(match options.json {
                true => json::failed(&asked.given, &why),
                false => why,
            });
            return Ok(None);
        };
        let broadcasts = platform::host_addresses()?.broadcasts;
        let client = Client::new(address, broadcasts, Instant::now()).with(options.key.as_ref());
        let own = client.address();
        if options.json {
            out.line(events::qualified(own));
        } else {
            out.line(text::round(&asked.name, report));
            out.line(format!("Teredo address: {own}"));
        }
        Ok(Some(Self {
            options,
            out,
            client,
            sockets,
            nat: report.nat,
            stop,
        }))
    }

    fn listen(&mut self) -> Result<ExitCode, Fault> {
        while let Some(events) = self.step(None)? {
            for event in &events {
                self.tell(event);
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Exits as ping(8) does: 0 if there was a reply.
    fn ping(&mut self, peer: Ipv6Addr) -> Result<ExitCode, Fault> {
        if let Some(why) = self.why_unreachable(peer) {
            print_error(why);
            return Ok(ExitCode::FAILURE);
        }
        let interval = self.options.interval.unwrap_or(INTERVAL);
        let (mut sent, mut times) = (0_u64, Summary::default());
        let mut next = Some(Instant::now());
        let mut given_up = false;
        while let Some(due) = next
            && !given_up
        {
            let now = Instant::now();
            let is_last = self.options.count == Some(sent);
            if now >= due && is_last {
                break;
            }
            if now >= due {
                sent = sent.saturating_add(1);
                self.client.ping(now, peer, sent as u16);
                let is_last = self.options.count == Some(sent);
                next = now.checked_add(if is_last { LINGER } else { interval });
            }
            let Some(events) = self.step(next)? else {
                break;
            };
            for event in &events {
                self.tell(event);
                match event {
                    Event::Reply(_, _, after) => {
                        times.rounds = times.rounds.saturating_add(1);
                        times.add_answer(*after);
                    }
                    Event::Limit(who) | Event::GivenUp(who, _) if *who == peer => given_up = true,
                    _ => {}
                }
            }
            if self.options.count == Some(times.rounds) {
                break;
            }
        }
        if times.rounds == 0 {
            self.explain(peer);
        }
        self.out.line(match self.options.json {
            true => events::pinged_object(peer, sent, &times),
            false => events::pinged(peer, sent, &times),
        });
        Ok(judged(times.rounds > 0))
    }

    fn native(&mut self, to: Ipv6Addr, deadline: Option<Instant>) -> Result<ExitCode, Fault> {
        if self.peer(to).is_some() {
            print_error(format_args!(
                "--native: {to} is a Teredo address; --ping is for those"
            ));
            return Ok(ExitCode::from(2));
        }
        let start = Instant::now();
        self.client.test(start, to);
        let mut outcome = Native::Nothing;
        let mut done = false;
        while !done && deadline.is_some_and(|deadline| deadline > Instant::now()) {
            let Some(events) = self.step(deadline)? else {
                break;
            };
            for event in &events {
                self.tell(event);
                match *event {
                    Event::Open(who, relay) if who == to => {
                        outcome = Native::Answered(relay, start.elapsed());
                        done = true;
                    }
                    Event::Bubble(who, relay) if self.peer(who).is_none() && !done => {
                        outcome = Native::RelayOnly(relay);
                    }
                    Event::GivenUp(who, _) if who == to => done = true,
                    _ => {}
                }
            }
        }
        self.out.line(match self.options.json {
            true => outcome.object(to),
            false => outcome.words(to),
        });
        Ok(judged(matches!(outcome, Native::Answered(..))))
    }

    /// Does what is due, waits for something to come, but not longer than `until`, and says what happened; nothing when it is
    /// to end.
    fn step(&mut self, until: Option<Instant>) -> Result<Option<Vec<Event>>, Fault> {
        self.client.advance(Instant::now());
        self.send();
        if self.stop.is_asked() || self.out.is_closed() {
            return Ok(None);
        }
        let mut events = self.events();
        if events.is_empty() {
            let wake = self.client.wake();
            let until = until.map_or(wake, |until| until.min(wake));
            let descriptors = self.sockets.descriptors();
            wait(descriptors.chain(self.stop.descriptor()), until)?;
            self.receive();
            self.send();
            events = self.events();
        }
        Ok(Some(events))
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.client.event()).collect()
    }

    fn send(&mut self) {
        while let Some(datagram) = self.client.transmit() {
            watch(self.options, self.out, Note::Sent(&datagram));
            if let Err(error) = self.sockets.send(&datagram) {
                print_error(error);
            }
        }
    }

    fn receive(&mut self) {
        let mut bytes = [0; DATAGRAM_MAX];
        for port in Port::ALL {
            loop {
                match self.sockets.receive(port, &mut bytes) {
                    Heard::Nothing => break,
                    Heard::Refused => {}
                    Heard::Datagram(from, len) if port == Port::Service => {
                        let bytes = bytes.get(..len).unwrap_or_default();
                        watch(self.options, self.out, Note::Received(from, bytes));
                        self.client.receive(Instant::now(), from, bytes);
                    }
                    // Late answers to the questions.
                    Heard::Datagram(..) => {}
                }
            }
        }
    }

    fn tell(&mut self, event: &Event) {
        self.out.line(match self.options.json {
            true => events::object(event),
            false => events::words(event),
        });
    }

    fn peer(&self, address: Ipv6Addr) -> Option<TeredoAddress> {
        TeredoAddress::parse(self.options.expect_prefix, address)
    }

    /// Why a peer cannot be reached at all.
    fn why_unreachable(&self, peer: Ipv6Addr) -> Option<String> {
        let parts = self.peer(peer)?;
        if peer == self.client.address() {
            return Some(format!("{peer} is this client itself"));
        }
        let reachable = self.client.may_send_to(parts.mapped);
        (!reachable).then(|| format!("{peer} holds {}, which is not global", parts.mapped))
    }

    /// Why a peer may not have answered.
    fn explain(&mut self, peer: Ipv6Addr) {
        let own = self.client.parts().mapped;
        let is_mapped = self.nat.is_some_and(|nat| nat.kind != Kind::None);
        let beside = self
            .peer(peer)
            .is_some_and(|peer| peer.mapped.ip() == own.ip());
        if is_mapped && beside {
            print_error(format_args!(
                "{peer} is behind the same NAT as this client, {}, which would have to hairpin",
                own.ip()
            ));
        }
    }
}

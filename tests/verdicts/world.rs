//! A network in memory: a probe at 203.0.113.7, or behind a NAT of that address, and one server.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use miredo_server::probe::inquiry::{Inquiry, Outcome};
use miredo_server::probe::question::{Port, Question, Target};
use miredo_server::probe::verdict::{Local, Report};
use miredo_server::wire::address::ServicePrefix;

use super::servers::Server;

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 2);
/// What an answer takes.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// What port a NAT gives a local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mapping {
    /// The same.
    Preserving,
    /// Another, but one for all destinations.
    Shifted,
    /// Another for each destination.
    PerDestination,
    /// The next one for each destination.
    Sequential,
}

/// Whom a NAT lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Open,
    /// To whom the port has sent.
    Address,
    /// To whom any port has sent.
    HostAddress,
    AddressAndPort,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Nat {
    pub(super) mapping: Option<Mapping>,
    pub(super) filter: Filter,
    /// It rejects what it does not let in, and remembers that as a connection of its own: what is sent there later leaves from
    /// another port.
    pub(super) rejects: bool,
}

impl Nat {
    pub(super) const NONE: Self = Self {
        mapping: None,
        filter: Filter::Open,
        rejects: false,
    };
}

pub(super) struct World {
    pub(super) target: Target,
    pub(super) prefix: ServicePrefix,
    /// So many datagrams of each question are lost.
    pub(super) lose: usize,
    /// ICMP says that nobody listens.
    pub(super) refuses: bool,
    /// The system sends nothing, and says this.
    pub(super) fails: Option<&'static str>,
    nat: Nat,
    server: Server,
    mapped: HashMap<(SocketAddrV4, Option<SocketAddrV4>), u16>,
    opened: HashSet<(u16, SocketAddrV4)>,
    /// Ports and peers of connections that the NAT takes for its own.
    own: HashSet<(u16, SocketAddrV4)>,
    elapsed: Duration,
    inquiry: Option<Inquiry>,
}

impl World {
    pub(super) fn new(nat: Nat, server: Server) -> Self {
        Self {
            target: Target {
                primary: Ipv4Addr::new(198, 51, 100, 1),
                secondary: Some(Ipv4Addr::new(198, 51, 100, 2)),
            },
            prefix: ServicePrefix::GLOBAL,
            lose: 0,
            refuses: false,
            fails: None,
            nat,
            server,
            mapped: HashMap::new(),
            opened: HashSet::new(),
            own: HashSet::new(),
            elapsed: Duration::ZERO,
            inquiry: None,
        }
    }

    /// Asks the server to the end.
    pub(super) fn ask(&mut self) -> Report {
        let start = Instant::now();
        let mut now = start;
        let mut inquiry = Inquiry::new(self.target, now, Duration::from_secs(5));
        let mut lost: HashMap<(Port, SocketAddrV4, usize), usize> = HashMap::new();
        loop {
            inquiry.advance(now);
            let mut arrivals = Vec::new();
            while let Some(datagram) = inquiry.transmit() {
                if let Some(why) = self.fails {
                    inquiry.failed(now, datagram.port, datagram.to, why);
                    continue;
                }
                let Some(local) = self.local_of(datagram.port) else {
                    if self.refuses {
                        inquiry.refused(now + ROUND_TRIP, datagram.to);
                    }
                    continue;
                };
                let cone = usize::from(datagram.bytes[29] & 0x80);
                let losses = lost.entry((datagram.port, datagram.to, cone)).or_default();
                if *losses < self.lose {
                    *losses += 1;
                    continue;
                }
                let mapped = self.outward(local, datagram.to);
                for (from, bytes) in
                    (self.server)(self.target, mapped, datagram.to, &datagram.bytes)
                {
                    if self.inward(mapped, from) {
                        arrivals.push((datagram.port, from, bytes));
                    }
                }
            }
            if !arrivals.is_empty() {
                now += ROUND_TRIP;
            }
            for (port, from, bytes) in arrivals {
                inquiry.receive(now, port, from, &bytes);
            }
            match inquiry.wake() {
                Some(wake) => now = now.max(wake),
                None => break,
            }
        }
        self.elapsed = now - start;
        let report = Report::new(&inquiry, &self.local(), self.prefix);
        self.inquiry = Some(inquiry);
        report
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    pub(super) fn outcome(&self, question: Question) -> Option<Outcome> {
        self.inquiry
            .as_ref()
            .map(|inquiry| inquiry.outcome(question))
    }

    fn local(&self) -> Local {
        let here = match self.nat.mapping {
            Some(_) => INSIDE,
            None => OUTSIDE,
        };
        Local {
            service: SocketAddrV4::new(here, 5000),
            other: SocketAddrV4::new(here, 6000),
        }
    }

    fn local_of(&self, port: Port) -> Option<SocketAddrV4> {
        match port {
            Port::Service => Some(self.local().service),
            Port::Other => Some(self.local().other),
            Port::ToPrimary | Port::ToSecondary => None,
        }
    }

    /// Where the server sees it come from.
    fn outward(&mut self, local: SocketAddrV4, to: SocketAddrV4) -> SocketAddrV4 {
        let count = u16::try_from(self.mapped.len()).unwrap();
        let (key, fresh) = match self.nat.mapping {
            None | Some(Mapping::Preserving) => ((local, None), local.port()),
            Some(Mapping::Shifted) => ((local, None), 40_000 + local.port() % 7919),
            Some(Mapping::PerDestination) => ((local, Some(to)), 20_000 + 1_237 * count),
            Some(Mapping::Sequential) => ((local, Some(to)), 50_000 + count),
        };
        let port = *self.mapped.entry(key).or_insert(fresh);
        // Taken by the NAT's own: another one.
        let port = if self.own.contains(&(port, to)) {
            port + 11
        } else {
            port
        };
        self.opened.insert((port, to));
        SocketAddrV4::new(OUTSIDE, port)
    }

    /// Whether what `from` sends to `mapped` comes in.
    fn inward(&mut self, mapped: SocketAddrV4, from: SocketAddrV4) -> bool {
        let port = mapped.port();
        let lets_in = match self.nat.filter {
            Filter::Open => true,
            Filter::Address => self
                .opened
                .iter()
                .any(|(opened, to)| *opened == port && to.ip() == from.ip()),
            Filter::HostAddress => self.opened.iter().any(|(_, to)| to.ip() == from.ip()),
            Filter::AddressAndPort => self.opened.contains(&(port, from)),
        };
        if !lets_in && self.nat.rejects {
            self.own.insert((port, from));
        }
        lets_in
    }
}

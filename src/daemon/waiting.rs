//! Waiting for addresses that this host does not have yet. Signals are answered meanwhile, and a reload may name other addresses.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use log::{error, info, warn};
use nix::poll::{PollFd, PollFlags};

use super::Fault;
use super::invocation::{self, Invocation};
use super::metrics::Listener;
use super::notify;
use super::plan::Plan;
use super::poll::poll_or_rest;
use super::reader::Reader;
use super::signals::{Request, Signals};
use super::sockets::Sockets;
use super::statistics::Statistics;
use super::status::{History, State, Status};
use crate::logging::{self, Target};

/// How long until the next look. Each system tells of new addresses in its own way; a look takes three system calls.
const PAUSE: Duration = Duration::from_secs(1);

/// A server that has not opened its sockets yet.
#[derive(Debug)]
pub struct Waiting<'a> {
    invocation: &'a Invocation,
    signals: &'a mut Signals,
    plan: Plan,
    raw: Option<OwnedFd>,
    statistics: Option<Statistics>,
    metrics: Option<Listener>,
    history: History,
    /// The address that was missing at the last look.
    missing: Option<Ipv4Addr>,
    /// Whether the service manager was told that.
    told: bool,
    reading: Option<Reader>,
    /// A reload was asked for while another was under way.
    reload_again: bool,
}

/// What a server has opened that does not wait any more.
#[derive(Debug)]
pub struct Opened {
    /// What it is to serve.
    pub plan: Plan,
    /// Its sockets.
    pub sockets: Sockets,
    /// Where it tells what it does.
    pub statistics: Option<Statistics>,
    /// Where metrics are to be served.
    pub metrics: Option<Listener>,
    /// What came before.
    pub history: History,
}

impl<'a> Waiting<'a> {
    /// A server that is to serve a plan, with its path to native IPv6.
    pub fn new(
        invocation: &'a Invocation,
        signals: &'a mut Signals,
        plan: Plan,
        raw: Option<OwnedFd>,
        statistics: Option<Statistics>,
        metrics: Option<Listener>,
    ) -> Self {
        Self {
            invocation,
            signals,
            plan,
            raw,
            statistics,
            metrics,
            history: History::default(),
            missing: None,
            told: true,
            reading: None,
            reload_again: false,
        }
    }

    /// Opens the sockets: at once or, if the plan says so, when this host has the addresses, after a call of `waits` with the
    /// first that it has not. `None` when a signal ends the server before.
    ///
    /// # Errors
    /// Those of [`Sockets::open`] and of `waits`.
    pub fn open(
        mut self,
        waits: impl FnOnce(Ipv4Addr) -> Result<(), Fault>,
    ) -> Result<Option<Opened>, Fault> {
        let mut waits = Some(waits);
        self.look();
        while self.missing.is_some() || self.reading.is_some() {
            if let Some(address) = self.missing
                && let Some(waits) = waits.take()
            {
                waits(address)?;
            }
            match self.signals.take() {
                Some(Request::Stop) => {
                    notify::stopping();
                    if let Some(mut reader) = self.reading {
                        reader.kill();
                    }
                    return Ok(None);
                }
                Some(Request::Reload) => self.reload(),
                Some(Request::Report) => info!("{}", self.what()),
                None => self.wait(),
            }
            self.tend_reading();
            self.look();
            self.tend_statistics(Instant::now());
        }
        Ok(Some(Opened {
            sockets: Sockets::open(&self.plan, self.raw)?,
            plan: self.plan,
            statistics: self.statistics,
            metrics: self.metrics.map(Listener::listen).transpose()?,
            history: self.history,
        }))
    }

    /// Tells whoever asks that the server waits.
    fn tend_statistics(&mut self, now: Instant) {
        let Some(statistics) = &mut self.statistics else {
            return;
        };
        if self.missing.is_some() && statistics.accept(now) {
            let (started, history) = (self.invocation.started, self.history);
            let status = Status::new(State::Waiting, &self.plan, started, history, now);
            statistics.answer(&status, now);
        }
        statistics.tend(now);
    }

    /// Looks which address is missing, and says so when it is another one.
    fn look(&mut self) {
        let before = self.missing;
        self.missing = match self.plan.service.wait_for_address {
            true => self.plan.missing_address(),
            false => None,
        };
        let Some(address) = self.missing else {
            return;
        };
        if self.missing != before {
            warn!("{}", self.what());
            self.told = false;
        }
        if !self.told {
            self.told = notify::waiting(address);
        }
    }

    fn what(&self) -> String {
        match self.missing {
            Some(address) => format!("waiting for {address}, which is not assigned to this host"),
            None => "waiting for the new configuration".to_owned(),
        }
    }

    /// Waits until a signal comes, the reader says something, or it is time to look again.
    fn wait(&self) {
        let reader = self.reading.as_ref();
        let signals = PollFd::new(self.signals.as_fd(), PollFlags::POLLIN);
        let awaited = reader.and_then(Reader::awaited);
        let awaited = awaited.map(|(end, flags)| PollFd::new(end, flags));
        let statistics = self.statistics.as_ref();
        let asked = statistics.into_iter().flat_map(Statistics::awaited);
        let asked = asked.map(|(end, flags)| PollFd::new(end, flags));
        let mut polled: Vec<_> = std::iter::once(signals)
            .chain(awaited)
            .chain(asked.filter(|_| self.missing.is_some()))
            .collect();
        let next = Instant::now().checked_add(PAUSE);
        let deadlines = [
            next,
            reader.and_then(Reader::deadline),
            statistics.and_then(Statistics::deadline),
        ];
        poll_or_rest(&mut polled, deadlines.into_iter().flatten().min());
    }

    /// Reads the configuration again.
    fn reload(&mut self) {
        self.reload_again = self.reading.is_some();
        if self.reload_again {
            return;
        }
        match Reader::start(&self.invocation.program, &self.invocation.options) {
            Ok(reader) => self.reading = Some(reader),
            Err(fault) => self.not_reloaded(&fault),
        }
    }

    fn tend_reading(&mut self) {
        let reading = self.reading.as_mut();
        let Some(outcome) =
            reading.and_then(|reader| reader.outcome(Instant::now(), &mut logging::diagnostic))
        else {
            return;
        };
        self.reading = None;
        if let Err(fault) = outcome.and_then(|plan| self.adopt(plan)) {
            self.not_reloaded(&fault);
        }
        if self.reload_again {
            self.reload();
        }
    }

    /// Takes a new plan, unless its start would fail at once.
    fn adopt(&mut self, plan: Plan) -> Result<(), Fault> {
        if let Some(address) = plan.missing_address()
            && !plan.service.wait_for_address
        {
            return Err(Fault::new(format!(
                "{address} is not assigned to this host"
            )));
        }
        if plan.service.echo_path != self.plan.service.echo_path {
            self.raw = Sockets::open_raw(&plan)?;
        }
        let options = &self.invocation.options;
        let statistics = Statistics::adapt(self.statistics.as_ref(), options, &plan)?;
        let metrics = Listener::adapt(self.metrics.as_ref().map(Listener::address), &plan)?;
        if let Some(statistics) = statistics {
            self.statistics = statistics;
        }
        if let Some(metrics) = metrics {
            self.metrics = metrics;
        }
        if let Target::Syslog(facility) = invocation::target(&self.invocation.options, &plan) {
            logging::init(Target::Syslog(facility));
        }
        self.plan = plan;
        self.history.reloads = self.history.reloads.saturating_add(1);
        info!("configuration reloaded");
        Ok(())
    }

    fn not_reloaded(&mut self, fault: &Fault) {
        self.history.reloads_refused = self.history.reloads_refused.saturating_add(1);
        error!("not reloaded, still {}: {fault}", self.what());
    }
}

//! Reload, replacement, stop. The monitor waits in one place, for all that can happen, and for nobody in particular.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use log::{error, info, warn};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

use super::Fault;
use super::child::{Child, News, RELIEVED};
use super::identity::Owner;
use super::messages::{Order, VERSION};
use super::notify;
use super::plan::Plan;
use super::poll::poll_until;
use super::program::Program;
use super::reader::Reader;
use super::signals::{Request, Signals};
use super::sockets::Sockets;
use crate::cli::Options;
use crate::logging::{self, Target};
use crate::verdict::Counters;

/// A worker that lives this long has started well: if it dies, the next one starts at once.
const SETTLED: Duration = Duration::from_secs(60);

/// Bounds of the delay before the next worker, when one after the other dies. The first replacement starts at once.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(60);

/// How long a worker may take to stop when the server stops. It takes milliseconds unless it hangs, and whoever sent the signal
/// is waiting.
const STOP: Duration = Duration::from_millis(800);

/// How long a report waits for the worker's counters, before it does with those that were told last.
const REPORT: Duration = Duration::from_millis(500);

/// How the program was started. It stays the same for as long as the monitor lives.
#[derive(Debug)]
pub struct Invocation {
    /// The command line, which names the configuration to read at each reload.
    pub options: Options,
    /// The user that workers become.
    pub owner: Owner,
    /// The file that workers execute.
    pub program: Program,
}

/// The privileged process: holds the sockets and keeps one worker serving on them.
#[derive(Debug)]
pub struct Monitor {
    invocation: Invocation,
    plan: Plan,
    sockets: Sockets,
    signals: Signals,
    serving: Option<Child>,
    starting: Option<(Child, Purpose)>,
    /// Workers that were told to stop.
    ending: Vec<Child>,
    /// When a worker that died is to be replaced.
    replacement: Option<Instant>,
    /// How long to wait before the next replacement.
    delay: Duration,
    reading: Option<Reader>,
    /// The new worker of a reload serves, and the old one has not ended yet.
    reloaded: bool,
    /// A reload was asked for while another was under way.
    reload_again: bool,
    /// Until when a report waits for counters.
    report: Option<Instant>,
    /// What workers did that are gone.
    counters: Counters,
    /// What the last report said.
    reported: Counters,
}

/// Why a worker is being started.
#[derive(Debug)]
enum Purpose {
    /// None has served yet.
    First,
    /// The last one died.
    Replacement,
    /// The configuration was read again.
    Reload(Box<(Plan, Sockets)>),
}

impl Monitor {
    /// A monitor that has not started anything yet.
    pub fn new(invocation: Invocation, plan: Plan, sockets: Sockets, signals: Signals) -> Self {
        Self {
            invocation,
            plan,
            sockets,
            signals,
            serving: None,
            starting: None,
            ending: Vec::new(),
            replacement: None,
            delay: Duration::ZERO,
            reading: None,
            reloaded: false,
            reload_again: false,
            report: None,
            counters: Counters::default(),
            reported: Counters::default(),
        }
    }

    /// Starts a worker, calls `ready` when it serves, and keeps the server going until a signal ends it; returns what all
    /// workers did.
    ///
    /// # Errors
    /// What keeps the first worker from serving; then of poll(2) and `ready` alone.
    pub fn run(
        mut self,
        ready: impl FnOnce(&Plan) -> Result<(), Fault>,
    ) -> Result<Counters, Fault> {
        self.sockets.set_receive_buffers(&self.plan);
        let first = self.start_worker(&self.plan, &self.sockets)?;
        self.starting = Some((first, Purpose::First));
        let mut ready = Some(ready);
        loop {
            match self.signals.take() {
                Some(Request::Stop) => {
                    notify::stopping();
                    return self.stop();
                }
                Some(Request::Reload) => self.reload(),
                Some(Request::Report) => self.begin_report(),
                None => self.wait()?,
            }
            let now = Instant::now();
            if self.tend_starting(now)?
                && let Some(ready) = ready.take()
            {
                ready(&self.plan)?;
            }
            self.tend_serving(now);
            self.tend_ending(now);
            if self.reloaded && self.ending.is_empty() {
                self.old_worker_is_gone();
            }
            self.tend_reading(now);
            if self.replacement.is_some_and(|due| due <= now) {
                self.replace();
            }
            if self.report.is_some_and(|until| until <= now) {
                self.finish_report();
            }
        }
    }

    /// Waits until a signal comes, a process says something, or something is due.
    fn wait(&self) -> Result<(), Fault> {
        let starting = self.starting.iter().map(|(child, _)| child);
        let children = || starting.clone().chain(&self.serving).chain(&self.ending);
        let reader = self.reading.as_ref();
        let due = [
            self.replacement,
            self.report,
            reader.and_then(Reader::deadline),
        ];
        let deadlines = due.into_iter().chain(children().map(Child::deadline));
        let awaited = children().filter_map(Child::awaited);
        let awaited = awaited.chain(reader.and_then(Reader::awaited));
        wait(&self.signals, awaited, deadlines.flatten().min())
    }

    /// Reads the configuration again. If anything is wrong with it, the old worker goes on.
    fn reload(&mut self) {
        if self.reading.is_some()
            || self.reloaded
            || matches!(
                self.starting,
                Some((_, Purpose::Reload(_) | Purpose::First))
            )
        {
            self.reload_again = true;
            return;
        }
        self.reload_again = false;
        match Reader::start(&self.invocation.program, &self.invocation.options) {
            Ok(reader) => self.reading = Some(reader),
            Err(fault) => self.not_reloaded(&fault),
        }
    }

    fn tend_reading(&mut self, now: Instant) {
        let Some(reader) = &mut self.reading else {
            return;
        };
        let Some(outcome) = reader.outcome(now, &mut logging::diagnostic) else {
            return;
        };
        self.reading = None;
        if let Err(fault) = outcome.and_then(|plan| self.begin_reload(plan)) {
            self.not_reloaded(&fault);
        }
    }

    /// The new worker is to serve before the old one stops, on the same sockets where the address is the same.
    fn begin_reload(&mut self, plan: Plan) -> Result<(), Fault> {
        let sockets = self.sockets.adapt(&plan)?;
        let child = self.start_worker(&plan, &sockets)?;
        // A replacement that does not serve yet comes too late.
        if let Some((mut late, _)) = self.starting.take() {
            late.kill();
            self.ending.push(late);
        }
        self.starting = Some((child, Purpose::Reload(Box::new((plan, sockets)))));
        Ok(())
    }

    fn reloaded(&mut self, plan: Plan, sockets: Sockets) {
        sockets.set_receive_buffers(&plan);
        if let Target::Syslog(facility) = target(&self.invocation.options, &plan) {
            logging::init(Target::Syslog(facility));
        }
        self.sockets = sockets;
        self.plan = plan;
        self.delay = Duration::ZERO;
        self.reloaded = true;
    }

    /// Says that a reload is done: what the old worker held is free.
    fn old_worker_is_gone(&mut self) {
        self.reloaded = false;
        info!("configuration reloaded, serving {}", self.plan);
        notify::serving(&self.plan);
        self.reload_if_asked();
    }

    fn not_reloaded(&mut self, fault: &Fault) {
        match self.serving {
            Some(_) => error!("not reloaded, still serving {}: {fault}", self.plan),
            None => error!("not reloaded, and no worker serves: {fault}"),
        }
        self.reload_if_asked();
    }

    fn reload_if_asked(&mut self) {
        if self.reload_again {
            self.reload();
        }
    }

    /// Looks after the worker that is to serve; says whether it is the first and does now.
    fn tend_starting(&mut self, now: Instant) -> Result<bool, Fault> {
        let Some((child, _)) = &mut self.starting else {
            return Ok(false);
        };
        let news = loop {
            match child.news(now) {
                Some(News::Counted) => {}
                news => break news,
            }
        };
        let (Some(news), Some((child, purpose))) =
            (&news, news.as_ref().and_then(|_| self.starting.take()))
        else {
            return Ok(false);
        };
        match (news, purpose) {
            (News::Ended(words), Purpose::First) => return Err(Fault::new(words)),
            (News::Ended(words), Purpose::Reload(_)) => self.not_reloaded(&Fault::new(words)),
            (News::Ended(words), Purpose::Replacement) => {
                error!("no worker: {words}; {}", when(self.delay));
                self.schedule_replacement(now);
            }
            (_, purpose) => {
                let first = matches!(purpose, Purpose::First);
                self.relieve(child);
                match purpose {
                    Purpose::First => self.reload_if_asked(),
                    Purpose::Replacement => info!("serving again, {}", self.plan),
                    Purpose::Reload(new) => self.reloaded(new.0, new.1),
                }
                return Ok(first);
            }
        }
        Ok(false)
    }

    /// A new worker serves; the old one, if there is one, stops.
    fn relieve(&mut self, child: Child) {
        self.replacement = None;
        if let Some(mut old) = self.serving.replace(child) {
            old.stop(RELIEVED);
            self.ending.push(old);
        }
    }

    fn tend_serving(&mut self, now: Instant) {
        while let Some(news) = self.serving.as_mut().and_then(|child| child.news(now)) {
            match news {
                News::Counted if self.report.is_some() => self.finish_report(),
                News::Ended(words) => self.worker_died(&words, now),
                _ => {}
            }
        }
    }

    fn worker_died(&mut self, words: &str, now: Instant) {
        let Some(dead) = self.serving.take() else {
            return;
        };
        self.counters.add(dead.counters());
        if dead.age() >= SETTLED {
            self.delay = Duration::ZERO;
        }
        warn!("the worker died ({words}); {}", when(self.delay));
        // A reload that is under way replaces it.
        if self.starting.is_none() {
            self.schedule_replacement(now);
        }
    }

    fn tend_ending(&mut self, now: Instant) {
        let counters = &mut self.counters;
        self.ending.retain_mut(|child| {
            while let Some(news) = child.news(now) {
                if let News::Ended(_) = news {
                    counters.add(child.counters());
                    return false;
                }
            }
            true
        });
    }

    fn replace(&mut self) {
        self.replacement = None;
        if self.starting.is_some() {
            return;
        }
        match self.start_worker(&self.plan, &self.sockets) {
            Ok(child) => self.starting = Some((child, Purpose::Replacement)),
            Err(fault) => {
                error!("no worker: {fault}; {}", when(self.delay));
                self.schedule_replacement(Instant::now());
            }
        }
    }

    /// Sets the time of the next replacement, and doubles the delay of the one after it.
    fn schedule_replacement(&mut self, now: Instant) {
        self.replacement = now.checked_add(self.delay);
        self.delay = self.delay.saturating_mul(2).clamp(FIRST_DELAY, LAST_DELAY);
    }

    /// Asks for counters; the report follows when they come, or without those of a worker that does not tell.
    fn begin_report(&mut self) {
        if let Some(child) = &mut self.serving {
            child.ask_counters();
        }
        self.report = Instant::now().checked_add(REPORT);
    }

    /// Logs what was counted since the start, and since the last report.
    fn finish_report(&mut self) {
        self.report = None;
        let mut total = self.counters.clone();
        let workers = self.serving.iter().chain(&self.ending);
        workers.for_each(|child| total.add(child.counters()));
        let recent = total.since(&self.reported);
        info!(
            "since start: {}; since the last report: {}",
            total.detailed(),
            recent.detailed()
        );
        self.reported = total;
    }

    fn stop(mut self) -> Result<Counters, Fault> {
        if let Some(reader) = &mut self.reading {
            reader.kill();
        }
        if let Some((mut child, _)) = self.starting.take() {
            child.kill();
            self.ending.push(child);
        }
        self.ending.extend(self.serving.take());
        self.ending.iter_mut().for_each(|child| child.stop(STOP));
        self.replacement = None;
        self.report = None;
        loop {
            let now = Instant::now();
            self.tend_ending(now);
            if self
                .reading
                .as_mut()
                .is_some_and(|reader| reader.outcome(now, &mut |_| ()).is_some())
            {
                self.reading = None;
            }
            if self.ending.is_empty() && self.reading.is_none() {
                return Ok(self.counters);
            }
            self.wait()?;
            // Only to empty the descriptor: it says nothing new.
            while self.signals.take().is_some() {}
        }
    }

    fn start_worker(&self, plan: &Plan, sockets: &Sockets) -> Result<Child, Fault> {
        let owner = match self.invocation.owner {
            Owner::Become(identity) => Some((identity.uid.as_raw(), identity.gid.as_raw())),
            Owner::Stay => None,
        };
        let order = Order {
            version: VERSION,
            plan: plan.clone(),
            udp: Vec::new(),
            raw: None,
            owner,
            root: self.invocation.options.chroot.clone().map(Into::into),
            log: log::max_level(),
        };
        Child::start(&self.invocation.program, order, sockets)
    }
}

/// Whether a server with these options logs to standard error. Where that is the journal, a service logs through syslog(3)
/// instead, which the journal reads too: standard error has no facility. `RUST_LOG` is for standard error alone.
pub fn logs_to_stderr(options: &Options) -> bool {
    let journal = logging::stderr_is_journal() && std::env::var_os("RUST_LOG").is_none();
    options.local || options.foreground && !journal
}

/// Where a server with these options and this plan logs.
pub fn target(options: &Options, plan: &Plan) -> Target {
    if logs_to_stderr(options) {
        Target::Stderr
    } else {
        Target::Syslog(plan.service.facility)
    }
}

fn wait<'a>(
    signals: &'a Signals,
    awaited: impl Iterator<Item = (BorrowedFd<'a>, PollFlags)>,
    deadline: Option<Instant>,
) -> Result<(), Fault> {
    let signals = std::iter::once((signals.as_fd(), PollFlags::POLLIN));
    let polled = signals
        .chain(awaited)
        .map(|(end, flags)| PollFd::new(end, flags));
    match poll_until(&mut polled.collect::<Vec<_>>(), deadline) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Fault::new(format!("poll: {}", errno.desc()))),
    }
}

fn when(delay: Duration) -> String {
    match delay.as_secs() {
        0 => "starting a new one now".to_owned(),
        seconds => format!("starting a new one in {seconds} s"),
    }
}

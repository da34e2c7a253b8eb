//! Reload, replacement, stop.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use log::{error, info, warn};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

use super::Fault;
use super::child::{Child, Program};
use super::identity::Owner;
use super::messages::{Order, VERSION};
use super::plan::Plan;
use super::poll::poll_until;
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
    worker: WorkerState,
    /// How long to wait before the next replacement.
    delay: Duration,
    /// What earlier workers counted.
    counters: Counters,
    /// What the last report said.
    reported: Counters,
}

#[derive(Debug)]
enum WorkerState {
    Serving(Child),
    /// The last worker died; the next one is to start then.
    Due(Instant),
}

enum Event {
    Asked(Request),
    WorkerDied,
    ReplacementDue,
}

impl Monitor {
    /// Starts the first worker and returns when it serves.
    ///
    /// # Errors
    /// What keeps the worker from serving.
    pub fn start(
        invocation: Invocation,
        plan: Plan,
        sockets: Sockets,
        signals: Signals,
    ) -> Result<Self, Fault> {
        sockets.set_receive_buffers(&plan);
        let worker = start_worker(&invocation, &plan, &sockets)?;
        Ok(Self {
            invocation,
            plan,
            sockets,
            signals,
            worker: WorkerState::Serving(worker),
            delay: Duration::ZERO,
            counters: Counters::default(),
            reported: Counters::default(),
        })
    }

    /// Keeps a worker serving until a signal ends it; returns what all workers counted.
    ///
    /// # Errors
    /// Of poll(2) alone.
    pub fn run(mut self) -> Result<Counters, Fault> {
        loop {
            match self.next_event()? {
                Event::Asked(Request::Stop) => return Ok(self.stop()),
                Event::Asked(Request::Reload) => self.reload(),
                Event::Asked(Request::Report) => self.report(),
                Event::WorkerDied => self.worker_died(),
                Event::ReplacementDue => self.replace(),
            }
        }
    }

    fn next_event(&mut self) -> Result<Event, Fault> {
        loop {
            if let Some(request) = self.signals.take() {
                return Ok(Event::Asked(request));
            }
            match &mut self.worker {
                WorkerState::Serving(child) => {
                    let ready = wait(&[self.signals.as_fd(), child.as_fd()], None)?;
                    if ready == Ready::Descriptor(1) && child.has_died() {
                        return Ok(Event::WorkerDied);
                    }
                }
                WorkerState::Due(due) => {
                    if wait(&[self.signals.as_fd()], Some(*due))? == Ready::TimeOut {
                        return Ok(Event::ReplacementDue);
                    }
                }
            }
        }
    }

    /// Reads the configuration again. If anything is wrong with it, the old worker goes on.
    fn reload(&mut self) {
        match self.try_reload() {
            Ok(()) => info!("configuration reloaded, serving {}", self.plan),
            Err(fault) => match self.worker {
                WorkerState::Serving(_) => {
                    error!("not reloaded, still serving {}: {fault}", self.plan)
                }
                WorkerState::Due(_) => error!("not reloaded, and no worker serves: {fault}"),
            },
        }
    }

    /// Starts a new worker, on the same sockets where the address is the same, and stops the old one when the new one serves.
    fn try_reload(&mut self) -> Result<(), Fault> {
        let plan = Plan::read(&self.invocation.options, &mut |fault| {
            logging::diagnostic(fault)
        })?;
        let sockets = self.sockets.adapt(&plan)?;
        let child = start_worker(&self.invocation, &plan, &sockets)?;
        sockets.set_receive_buffers(&plan);
        if let WorkerState::Serving(old) =
            std::mem::replace(&mut self.worker, WorkerState::Serving(child))
        {
            self.counters.add(&old.stop());
        }
        if let Target::Syslog(facility) = target(&self.invocation.options, &plan) {
            logging::init(Target::Syslog(facility));
        }
        self.sockets = sockets;
        self.plan = plan;
        Ok(())
    }

    /// Logs what was counted since the start, and since the last report.
    fn report(&mut self) {
        let mut total = self.counters.clone();
        if let WorkerState::Serving(child) = &mut self.worker
            && let Some(counters) = child.counters()
        {
            total.add(&counters);
        }
        let recent = total.since(&self.reported);
        info!(
            "since start: {}; since the last report: {}",
            total.detailed(),
            recent.detailed()
        );
        self.reported = total;
    }

    fn worker_died(&mut self) {
        let now = Instant::now();
        let WorkerState::Serving(dead) = std::mem::replace(&mut self.worker, WorkerState::Due(now))
        else {
            return;
        };
        if dead.age() >= SETTLED {
            self.delay = Duration::ZERO;
        }
        warn!("the worker died ({}); {}", dead.end(), when(self.delay));
        self.schedule_replacement(now);
    }

    fn replace(&mut self) {
        match start_worker(&self.invocation, &self.plan, &self.sockets) {
            Ok(child) => {
                info!("serving again, {}", self.plan);
                self.worker = WorkerState::Serving(child);
            }
            Err(fault) => {
                error!("no worker: {fault}; {}", when(self.delay));
                self.schedule_replacement(Instant::now());
            }
        }
    }

    /// Sets the time of the next replacement, and doubles the delay of the one after it.
    fn schedule_replacement(&mut self, now: Instant) {
        self.worker = WorkerState::Due(now.checked_add(self.delay).unwrap_or(now));
        self.delay = self.delay.saturating_mul(2).clamp(FIRST_DELAY, LAST_DELAY);
    }

    fn stop(mut self) -> Counters {
        if let WorkerState::Serving(child) = self.worker {
            self.counters.add(&child.stop());
        }
        self.counters
    }
}

/// Where a daemon with these options logs.
pub fn target(options: &Options, plan: &Plan) -> Target {
    if options.stays() {
        Target::Stderr
    } else {
        Target::Syslog(plan.service.facility)
    }
}

#[derive(PartialEq, Eq)]
enum Ready {
    Descriptor(usize),
    TimeOut,
    Nothing,
}

/// Waits for one of the descriptors, or until `due`.
fn wait(descriptors: &[std::os::fd::BorrowedFd<'_>], due: Option<Instant>) -> Result<Ready, Fault> {
    let mut polled: Vec<_> = descriptors
        .iter()
        .map(|descriptor| PollFd::new(*descriptor, PollFlags::POLLIN))
        .collect();
    match poll_until(&mut polled, due) {
        Ok(0) => Ok(Ready::TimeOut),
        Ok(_) => Ok(polled
            .iter()
            .position(|descriptor| descriptor.any().unwrap_or(true))
            .map_or(Ready::Nothing, Ready::Descriptor)),
        Err(Errno::EINTR) => Ok(Ready::Nothing),
        Err(errno) => Err(Fault::new(format!("poll: {}", errno.desc()))),
    }
}

fn when(delay: Duration) -> String {
    match delay.as_secs() {
        0 => "starting another at once".to_owned(),
        seconds => format!("starting another in {seconds} s"),
    }
}

fn start_worker(invocation: &Invocation, plan: &Plan, sockets: &Sockets) -> Result<Child, Fault> {
    let owner = match invocation.owner {
        Owner::Become(identity) => Some((identity.uid.as_raw(), identity.gid.as_raw())),
        Owner::Stay => None,
    };
    let order = Order {
        version: VERSION,
        plan: plan.clone(),
        udp: Vec::new(),
        raw: None,
        owner,
        root: invocation.options.chroot.clone().map(Into::into),
        log: target(&invocation.options, plan),
    };
    Child::start(&invocation.program, order, sockets)
}

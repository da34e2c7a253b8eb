//! Clients that ask, in a closed loop or at a rate, and count.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_timerslack;

use crate::Fault;
use crate::client::{Clients, Tally};
use crate::traffic::{Kind, Target, since};

/// What to ask, of whom, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) target: Target,
    pub(crate) kind: Kind,
    /// First of the addresses that the clients have in turn.
    pub(crate) from: Ipv4Addr,
    /// How many addresses.
    pub(crate) addresses: u32,
    pub(crate) threads: usize,
    /// Sockets of each thread; two at least, unless all that is asked is solicitations.
    pub(crate) sockets: usize,
    pub(crate) pace: Pace,
    pub(crate) time: Duration,
}

/// When to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Closed loop: each socket has so many questions open.
    Window(usize),
    /// Open loop: so many a second in all, in even steps.
    Rate(u32),
}

/// What became of the questions.
pub(crate) struct Outcome {
    tally: Tally,
    seconds: f64,
}

/// After so long without any answer, open questions are lost.
const PATIENCE: Duration = Duration::from_millis(50);

impl Load {
    /// Runs the load on threads of its own, in the calling thread's network namespace.
    pub(crate) fn run(&self) -> Result<Outcome, Fault> {
        let begin = Instant::now();
        let tallies = thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads)
                .map(|number| scope.spawn(move || self.thread(number)))
                .collect();
            let tallies = threads.into_iter().map(|thread| match thread.join() {
                Ok(tally) => tally,
                Err(_) => Err("a thread of the load failed".into()),
            });
            tallies.collect::<Result<Vec<_>, _>>()
        })?;
        // What is lost is waited for; that wait is no part of the rate.
        let seconds = begin.elapsed().min(self.time).as_secs_f64();
        let mut tally = Tally::default();
        for one in tallies {
            tally.sent += one.sent;
            tally.answered += one.answered;
            tally.ages.extend(one.ages);
        }
        tally.ages.sort_unstable();
        Ok(Outcome { tally, seconds })
    }

    fn thread(&self, number: usize) -> Result<Tally, Fault> {
        let first = number * self.sockets;
        let addresses = (first..first + self.sockets)
            .map(|socket| self.from.to_bits() + socket as u32 % self.addresses)
            .map(Ipv4Addr::from_bits);
        let mut clients = Clients::new(addresses, self.target, self.kind)?;
        match self.pace {
            Pace::Window(window) => self.closed(&mut clients, window)?,
            Pace::Rate(rate) => self.open(&mut clients, f64::from(rate) / self.threads as f64)?,
        }
        Ok(clients.tally)
    }

    fn closed(&self, clients: &mut Clients, window: usize) -> Result<(), Fault> {
        let start = Instant::now();
        for index in 0..clients.len() {
            clients.ask(index, window, since(start));
        }
        while start.elapsed() < self.time {
            let ready = clients.wait(PATIENCE)?;
            for &index in &ready {
                clients.hear(index, || since(start))?;
                clients.ask(index, clients.room(index, window), since(start));
            }
            if ready.is_empty() {
                clients.forget();
                for index in 0..clients.len() {
                    clients.ask(index, window, since(start));
                }
            }
        }
        hear_out(clients, start)
    }

    fn open(&self, clients: &mut Clients, rate: f64) -> Result<(), Fault> {
        // The kernel's habit of grouping timers within 50 microseconds would group the questions.
        set_timerslack(1)?;
        let start = Instant::now();
        let total = (self.time.as_secs_f64() * rate) as u64;
        let mut asked = 0;
        while asked < total {
            let due = ((start.elapsed().as_secs_f64() * rate) as u64 + 1).min(total);
            while asked < due {
                clients.ask(asked as usize % clients.len(), 1, since(start));
                asked += 1;
            }
            let next = Duration::from_secs_f64(asked as f64 / rate);
            hear(clients, start, next.saturating_sub(start.elapsed()))?;
        }
        hear_out(clients, start)
    }
}

impl Outcome {
    /// Answers a second, the percentage of questions without one, and latencies in microseconds.
    pub(crate) fn metrics(&self) -> Vec<(&'static str, f64)> {
        let Tally {
            sent,
            answered,
            ages,
        } = &self.tally;
        let percentile = |part: f64| {
            let index = (ages.len() as f64 * part) as usize;
            ages.get(index).map_or(f64::NAN, |age| *age as f64 / 1000.0)
        };
        vec![
            ("answers/s", *answered as f64 / self.seconds),
            ("lost %", 100.0 - 100.0 * self.answered_part()),
            ("asked/s", *sent as f64 / self.seconds),
            ("p50 us", percentile(0.5)),
            ("p99 us", percentile(0.99)),
            ("p99.9 us", percentile(0.999)),
        ]
    }

    /// How many of the questions were answered, 0 to 1.
    pub(crate) fn answered_part(&self) -> f64 {
        match self.tally.sent {
            0 => 0.0,
            sent => self.tally.answered as f64 / sent as f64,
        }
    }

    /// How many answers came.
    pub(crate) fn answers(&self) -> u64 {
        self.tally.answered
    }
}

fn hear_out(clients: &mut Clients, start: Instant) -> Result<(), Fault> {
    while clients.tally.answered < clients.tally.sent && hear(clients, start, PATIENCE)? > 0 {}
    Ok(())
}

fn hear(clients: &mut Clients, start: Instant, most: Duration) -> Result<usize, Fault> {
    let ready = clients.wait(most)?;
    for &index in &ready {
        clients.hear(index, || since(start))?;
    }
    Ok(ready.len())
}

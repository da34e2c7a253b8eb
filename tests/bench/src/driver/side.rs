//! A server at one end of a cable, and questions at a rate at the other.

use std::path::Path;
use std::thread;
use std::time::Duration;

use miredo_server::server::Settings;
use platform::xdp::bench::{Generator, Questions};

use super::cable::{Cable, Lost, hurry};
use crate::Fault;
use crate::compare::await_answer;
use crate::load::Load;
use crate::subject::{Program, Subject};

/// A server and its cable.
pub(crate) struct Side {
    pub(crate) cable: Cable,
    subject: Subject,
    pub(crate) name: String,
}

/// What came of questions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Frames that left.
    pub(crate) sent: u64,
    /// Answers that no socket asked for, and their lengths in bytes.
    pub(crate) answers: u64,
    octets: u64,
    pub(crate) lost: Lost,
    /// Nanoseconds of the driver and of the server's processes.
    cpu: u64,
    seconds: f64,
}

/// Questions come for so long before and after all else, and everything on the way arrives within this time.
const AHEAD: Duration = Duration::from_millis(30);
const REST: Duration = Duration::from_millis(60);
/// The part of all frames that a ring may drop: what a pause of a virtual processor costs at any rate.
const PAUSES: f64 = 1e-4;
/// How often a rate is tried, if something else has the machine meanwhile.
const TRIES: u32 = 5;
/// The lowest rate that is tried, in frames a second, the highest, and the step.
const RATES: (f64, f64, f64) = (200_000.0, 6_000_000.0, 1.2);

impl Side {
    pub(crate) fn start(
        name: &str,
        program: &Program,
        settings: Option<&Settings>,
        dir: &Path,
    ) -> Result<Self, Fault> {
        let cable = Cable::new(settings)?;
        let subject = Subject::start(name, program, crate::plan::SERVERS, &cable.lab, dir)?;
        await_answer(&cable.lab, &subject)?;
        Ok(Self {
            cable,
            subject,
            name: name.to_owned(),
        })
    }

    /// Sends questions, while `work` is done at the clients' host, for which that has so much time.
    pub(crate) fn ask<T: Send>(
        &self,
        questions: &Questions,
        time: Duration,
        work: impl FnOnce() -> Result<T, Fault> + Send,
    ) -> Result<(Outcome, T), Fault> {
        let mut generator = Generator::load(questions)?;
        let before = self.now()?;
        // In one call: each takes the kernel some milliseconds, in which nothing is sent.
        let times = f64::from(questions.rate) * (AHEAD + time + REST).as_secs_f64();
        let done = thread::scope(|scope| {
            let clients = &self.cable.lab.clients;
            let generator = &mut generator;
            let sender = scope.spawn(move || {
                clients.within(|| {
                    hurry()?;
                    Ok(generator.run(&self.cable.clients, times as u32)?)
                })
            });
            thread::sleep(AHEAD);
            let done = clients.within(|| {
                hurry()?;
                work()
            });
            sender.join().map_err(|_| "the sender failed")??;
            done
        })?;
        thread::sleep(REST);
        let after = self.now()?;
        let (sent, time) = generator.sent()?;
        let outcome = Outcome {
            sent,
            answers: after.answers - before.answers,
            octets: after.octets - before.octets,
            lost: Lost(after.lost.0 - before.lost.0, after.lost.1 - before.lost.1),
            cpu: after.cpu - before.cpu,
            seconds: time.as_secs_f64(),
        };
        Ok((outcome, done))
    }

    /// The highest rate at which no ring is too short, in frames a second, found by rising until that fails each time, or is
    /// more than the sender can. The lowest rate, if that fails: the results say what was lost.
    pub(crate) fn highest(&self, questions: &Questions) -> Result<u32, Fault> {
        let (lowest, most, step) = RATES;
        let (mut rate, mut good) = (lowest, lowest);
        let holds = |rate: f64| {
            let questions = Questions {
                rate: rate as u32,
                ..questions.clone()
            };
            let (outcome, ()) = self.ask(&questions, Duration::from_millis(200), || Ok(()))?;
            let (sent, lost) = (outcome.sent as f64, outcome.lost.0 + outcome.lost.1);
            Ok::<_, Fault>(lost as f64 <= sent * PAUSES && sent / outcome.seconds > rate * 0.95)
        };
        while rate < most {
            let mut tries = 0;
            while !holds(rate)? {
                tries += 1;
                if tries == TRIES {
                    return Ok(good as u32);
                }
            }
            good = rate;
            rate *= step;
        }
        Ok(good as u32)
    }

    /// Asks by sockets; says what came of that, and what it cost.
    pub(crate) fn load(&self, load: &Load) -> Result<Vec<(&'static str, f64)>, Fault> {
        let before = self.now()?.cpu;
        let outcome = self.cable.lab.clients.within(|| load.run())?;
        let cpu = (self.now()?.cpu - before) as f64;
        let mut metrics = outcome.metrics();
        metrics.extend(cost(cpu, outcome.answers()));
        Ok(metrics)
    }

    fn now(&self) -> Result<Outcome, Fault> {
        let (answers, octets) = self.cable.sink.answers()?;
        Ok(Outcome {
            sent: 0,
            answers,
            octets,
            lost: self.cable.lost()?,
            cpu: self.cable.cpu()? + self.subject.usage().cpu,
            seconds: 0.0,
        })
    }
}

impl Outcome {
    pub(crate) fn metrics(&self) -> Vec<(&'static str, f64)> {
        let (sent, answers) = (self.sent as f64, self.answers as f64);
        let Lost(there, back) = self.lost;
        let mut metrics = vec![
            ("asked/s", sent / self.seconds),
            ("answers/s", answers / self.seconds),
            ("answered %", 100.0 * answers / sent),
            ("bytes/answer", self.octets as f64 / answers),
            ("questions lost", there as f64),
            ("answers lost", back as f64),
            ("cpu %", self.cpu as f64 / self.seconds / 1e7),
            ("cpu ns/question", self.cpu as f64 / sent),
        ];
        metrics.extend(cost(self.cpu as f64, self.answers));
        metrics
    }
}

fn cost(cpu: f64, answers: u64) -> [(&'static str, f64); 2] {
    let each = cpu / answers as f64;
    [("cpu ns/answer", each), ("answers/s, a core", 1e9 / each)]
}

//! Questions at a steady rate, and what became of each.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::harness::solicitation;
use crate::lab::{DEADLINE, Namespace, wait_until};

/// Time between two questions: 500 a second.
const INTERVAL: Duration = Duration::from_millis(2);

/// Each is a client of its own to the router's hash of addresses and ports.
const SOCKETS: usize = 64;

/// An answer that takes longer counts as none. On an idle machine one takes less than a millisecond.
const GRACE: Duration = Duration::from_secs(1);

/// Asks both addresses of a server, without and with the cone bit, until it is dropped.
pub(crate) struct Asker {
    questions: Arc<Mutex<Vec<Question>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Question {
    sent: Instant,
    answered: bool,
}

/// What became of the questions since some event.
pub(crate) struct Count {
    pub(crate) asked: usize,
    pub(crate) unanswered: usize,
    /// From the event to the last question without an answer.
    pub(crate) until: Duration,
}

impl Asker {
    pub(crate) fn start(host: &Namespace, primary: Ipv4Addr, secondary: Ipv4Addr) -> Self {
        let sockets: Vec<UdpSocket> = host.within(|| {
            let bound = (0..SOCKETS).map(|_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
            bound.collect()
        });
        for socket in &sockets {
            socket.set_nonblocking(true).unwrap();
        }
        let questions = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, stopped) = (questions.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let mut next = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                ask(&sockets, &asked, primary, secondary);
                hear(&sockets, &asked, primary, secondary);
                next += INTERVAL;
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        Self {
            questions,
            stop,
            thread: Some(thread),
        }
    }

    /// The number of the next question.
    pub(crate) fn mark(&self) -> usize {
        self.questions.lock().unwrap().len()
    }

    /// Waits until every question of a whole second has been answered.
    #[track_caller]
    pub(crate) fn wait_for_a_good_second(&self) {
        let begin = Instant::now();
        wait_until("a second in which all is answered", DEADLINE, || {
            let end = Instant::now() - GRACE;
            let second = end - Duration::from_secs(1)..end;
            let questions = self.questions.lock().unwrap();
            let late = questions
                .iter()
                .rev()
                .skip_while(|question| question.sent >= end);
            let mut asked = late.take_while(|question| second.contains(&question.sent));
            second.start >= begin && asked.all(|question| question.answered)
        });
    }

    /// Counts the questions from number `mark` on, less those that may still be answered.
    pub(crate) fn count(&self, mark: usize, event: Instant) -> Count {
        let questions = self.questions.lock().unwrap();
        let settled = Instant::now() - GRACE;
        let asked: Vec<&Question> = questions
            .iter()
            .skip(mark)
            .filter(|question| question.sent < settled)
            .collect();
        let unanswered = asked.iter().filter(|question| !question.answered);
        let last = unanswered.clone().next_back();
        Count {
            asked: asked.len(),
            unanswered: unanswered.count(),
            until: last.map_or(Duration::ZERO, |last| last.sent - event),
        }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            assert!(joined.is_ok() || thread::panicking(), "the asker panicked");
        }
    }
}

/// Where question `number` goes, whether with the cone bit, and from where its answer has to come.
fn plan(number: usize, primary: Ipv4Addr, secondary: Ipv4Addr) -> (Ipv4Addr, bool, Ipv4Addr) {
    match number % 3 {
        0 => (primary, false, primary),
        1 => (secondary, false, secondary),
        _ => (primary, true, secondary),
    }
}

fn ask(
    sockets: &[UdpSocket],
    questions: &Mutex<Vec<Question>>,
    primary: Ipv4Addr,
    secondary: Ipv4Addr,
) {
    let mut questions = questions.lock().unwrap();
    let number = questions.len();
    let (to, cone, _) = plan(number, primary, secondary);
    let datagram = solicitation(u64::try_from(number).unwrap(), cone);
    let socket = &sockets[number % SOCKETS];
    let mut sent = socket.send_to(&datagram, (to, 3544));
    // A socket tells of an ICMP error once, in place of sending.
    if sent.is_err() {
        sent = socket.send_to(&datagram, (to, 3544));
    }
    // A router without a route says so to whoever asked.
    let weather = [ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable];
    if let Err(error) = sent {
        assert!(weather.contains(&error.kind()), "{error}");
    }
    questions.push(Question {
        sent: Instant::now(),
        answered: false,
    });
}

fn hear(
    sockets: &[UdpSocket],
    questions: &Mutex<Vec<Question>>,
    primary: Ipv4Addr,
    secondary: Ipv4Addr,
) {
    let mut datagram = [0; 1500];
    for socket in sockets {
        // An error is one of ICMP: a question without an answer, which is counted.
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            assert_eq!(length, 117, "an advertisement");
            let nonce = u64::from_be_bytes(datagram[4..12].try_into().unwrap());
            let number = usize::try_from(nonce).unwrap();
            let (_, _, expected) = plan(number, primary, secondary);
            assert_eq!(from, SocketAddr::new(IpAddr::V4(expected), 3544));
            let mut questions = questions.lock().unwrap();
            let question = &mut questions[number];
            question.answered = question.sent.elapsed() < GRACE;
        }
    }
}

//! What the monitor and its worker tell each other.
//!
//! The monitor sends [`ToWorker::Order`] and waits for [`FromWorker::Ready`] or [`FromWorker::Failed`]. Then each
//! [`ToWorker::Count`] is answered by [`FromWorker::Counted`]. [`FromWorker::Published`] and [`FromWorker::Logged`] come at any
//! time. When the monitor has nothing more to say, or is gone, the worker stops, says [`FromWorker::Counted`] for the last time,
//! and ends.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::time::Duration;

use log::LevelFilter;
use serde::{Deserialize, Serialize};

use super::channel::{Channel, Message};
use super::plan::Plan;
use crate::logging::LogLine;
use crate::verdict::Counters;

/// Version of the messages. Raise it when one changes in form or in meaning: a monitor starts the program that is installed, which
/// may be a newer one.
pub const VERSION: u32 = 6;

/// What a worker says when the monitor is of another version.
pub const OTHER_VERSION: &str = "the installed program is of another version than the one that runs: \
     stop the server and start it again";

/// How long either waits for the other to answer, or to read.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The monitor as the worker's end of the stream.
pub type MonitorChannel = Channel<ToWorker, FromWorker>;

/// What the monitor sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToWorker {
    /// What to do. The first message, and no later one.
    Order(Box<Order>),
    /// Send the counters.
    Count,
}

/// What a worker sends. The form of `Failed` is the same in every version: it is the answer to a monitor of another version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FromWorker {
    /// It is confined and serves.
    Ready,
    /// It cannot serve, and ends. One line, for the log.
    Failed(String),
    /// The counters since the worker started, because the monitor asked.
    Counted(Box<Counters>),
    /// The same unasked, at most once a second and when there is something new.
    Published(Box<Counters>),
    /// A line for the log.
    Logged(LogLine),
}

/// Everything that a worker needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The monitor's [`VERSION`].
    pub version: u32,
    /// What to serve.
    pub plan: Plan,
    /// The inherited sockets, a pair a thread.
    pub udp: Vec<PairNumbers>,
    /// The inherited socket to the native IPv6 Internet.
    pub raw: Option<RawFd>,
    /// User and group to become; absent where the monitor has no root to give up.
    pub owner: Option<(u32, u32)>,
    /// Directory to be confined in; a private one where absent. No `PathBuf`, which serde takes in UTF-8 alone.
    pub root: Option<OsString>,
    /// Which lines to send for the log.
    pub log: LevelFilter,
}

/// The descriptor numbers of one pair of inherited sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairNumbers {
    /// The one that is bound to the primary address.
    pub primary: RawFd,
    /// The one that is bound to the secondary address, unless in one-address mode.
    pub secondary: Option<RawFd>,
}

impl Message for ToWorker {
    /// An order with the largest file of keys takes less than three quarters. The rest, for the most threads and the longest
    /// path, is a hundredth of that.
    const MAX_LEN: usize = 1 << 22;
}

impl Message for FromWorker {
    /// The longest failure takes three quarters, counters of twenty digits each less.
    const MAX_LEN: usize = 1 << 14;
}

impl FromWorker {
    /// [`FromWorker::Failed`] about a system call, before and after its name. A signal handler puts it together.
    pub const FORBIDDEN_CALL: [&str; 2] = [
        "{\"failed\":\"the worker made the system call ",
        ", which it never makes: it may have been taken over\"}\n",
    ];

    /// That the worker failed, in one line of bounded length.
    pub fn failed(words: &str) -> Self {
        Self::Failed(one_line(words))
    }
}

/// Most characters of a failure. JSON takes four bytes for one at most.
const WORDS_MAX: usize = 2048;

/// The words of a failure, in one line of bounded length.
pub(super) fn one_line(words: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    words.chars().take(WORDS_MAX).map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::num::{NonZeroU32, NonZeroUsize};
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::net::UnixStream;

    use crate::conf::{
        Accelerate, Address, Addresses, MAX_BYTES, ReceiveBuffer, Service, StatisticsSocket,
        Workers,
    };
    use crate::limit::RateLimit;
    use crate::qualification::{ClientKey, IDENTIFIER_MAX, Octets, Qualification};
    use crate::server::Policy;
    use crate::verdict::{Loss, Reason, Verdict};
    use crate::wire::address::ServicePrefix;

    fn key(identifier: Vec<u8>) -> ClientKey {
        ClientKey {
            identifier: Octets::new(identifier),
            secret: Octets::new(vec![0xa5; 16]),
            retired: false,
        }
    }

    fn order() -> Order {
        Order {
            version: VERSION,
            plan: Plan {
                addresses: Addresses {
                    primary: Address {
                        bound: Ipv4Addr::new(10, 0, 0, 1),
                        public: Ipv4Addr::new(192, 0, 2, 1),
                    },
                    secondary: Some(Address {
                        bound: Ipv4Addr::new(10, 0, 0, 2),
                        public: Ipv4Addr::new(192, 0, 2, 2),
                    }),
                },
                service: Service {
                    policy: Policy {
                        prefix: ServicePrefix::GLOBAL,
                        mtu: 1280,
                        allow_private: true,
                        rate_limit: Some(RateLimit {
                            packets_per_second: NonZeroU32::MIN,
                            burst: NonZeroU32::MAX,
                        }),
                        qualification: Some(Qualification {
                            required: true,
                            keys: vec![key(b"client".to_vec())],
                        }),
                    },
                    wait_for_address: true,
                    facility: "local3".parse().unwrap(),
                    workers: Workers::Auto,
                    receive_buffer: ReceiveBuffer::Bytes(65536),
                    echo_path: platform::EchoPath::Native,
                    statistics: StatisticsSocket::At("/run/sock".into()),
                    metrics: Some("[::1]:9544".parse().unwrap()),
                    accelerate: Accelerate::Interfaces(vec!["eth0".to_owned()]),
                },
                threads: NonZeroUsize::MIN,
                local: false,
            },
            udp: vec![PairNumbers {
                primary: 4,
                secondary: Some(5),
            }],
            raw: Some(7),
            owner: Some((65534, 65533)),
            root: Some("/var/empty".into()),
            log: LevelFilter::Info,
        }
    }

    /// An emulated processor takes its time over the largest order.
    const PATIENCE: Duration = Duration::from_secs(300);

    fn through_a_stream(message: ToWorker) -> ToWorker {
        let (monitor, worker) = UnixStream::pair().unwrap();
        let mut worker = MonitorChannel::new(worker).unwrap();
        let sent = message.clone();
        let sender = std::thread::spawn(move || {
            let monitor = Channel::<FromWorker, ToWorker>::new(monitor).unwrap();
            monitor.send(&sent, PATIENCE).unwrap();
        });
        let received = worker.receive(Some(PATIENCE)).unwrap().unwrap();
        sender.join().unwrap();
        received
    }

    /// If this text has to change, so has [`VERSION`].
    #[test]
    fn the_form_of_an_order_is_that_of_its_version() {
        let expected = concat!(
            r#"{"order":{"version":6,"plan":{"addresses":{"primary":{"bound":"10.0.0.1","public":"192.0.2.1"},"#,
            r#""secondary":{"bound":"10.0.0.2","public":"192.0.2.2"}},"#,
            r#""service":{"policy":{"prefix":536936448,"mtu":1280,"allow_private":true,"#,
            r#""rate_limit":{"packets_per_second":1,"burst":4294967295},"qualification":{"required":true,"keys":["#,
            r#"{"identifier":"636c69656e74","secret":"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5","retired":false}]}},"wait_for_address":true,"facility":"local3","#,
            r#""workers":"Auto","receive_buffer":{"Bytes":65536},"echo_path":"Native","statistics":{"At":"/run/sock"},"metrics":"[::1]:9544","accelerate":{"Interfaces":["eth0"]}},"#,
            r#""threads":1,"local":false},"udp":[{"primary":4,"secondary":5}],"raw":7,"#,
            r#""owner":[65534,65533],"root":{"Unix":[47,118,97,114,47,101,109,112,116,121]},"#,
            r#""log":"INFO"}}"#,
        );
        let message = ToWorker::Order(Box::new(order()));
        assert_eq!(serde_json::to_string(&message).unwrap(), expected);
    }

    #[test]
    fn an_order_arrives_as_it_was_sent() {
        let mut bare = order();
        bare.plan.addresses.secondary = None;
        bare.plan.service.policy.rate_limit = None;
        bare.plan.service.policy.qualification = None;
        (bare.raw, bare.owner, bare.root) = (None, None, None);
        bare.log = LevelFilter::Trace;
        let mut largest = order();
        let pair = PairNumbers {
            primary: RawFd::MAX,
            secondary: Some(RawFd::MAX),
        };
        largest.udp = vec![pair; Workers::MOST.get().into()];
        // Not UTF-8, and PATH_MAX octets.
        largest.root = Some(OsString::from_vec(vec![0xff; 4096]));
        // As many of the longest identifiers as a file has room for: " hmac-sha1 ", 32 digits and a line feed follow each.
        let keys = usize::try_from(MAX_BYTES).unwrap() / (IDENTIFIER_MAX + 44);
        if let Some(qualification) = &mut largest.plan.service.policy.qualification {
            qualification.keys = vec![key(vec![0xff; IDENTIFIER_MAX]); keys];
        }
        for order in [order(), bare, largest] {
            let message = ToWorker::Order(Box::new(order));
            let encoded = serde_json::to_vec(&message).unwrap();
            assert!(
                encoded.len() < ToWorker::MAX_LEN * 3 / 4,
                "{}",
                encoded.len()
            );
            assert_eq!(through_a_stream(message.clone()), message);
        }
    }

    #[test]
    fn a_forbidden_call_is_a_failure() {
        let line = FromWorker::FORBIDDEN_CALL.join("socket");
        let words = "the worker made the system call socket, which it never makes: it may have been taken over";
        let read: FromWorker = serde_json::from_str(&line).unwrap();
        assert_eq!(read, FromWorker::failed(words));
    }

    #[test]
    fn every_answer_has_room() {
        let failed = FromWorker::failed(&"\u{1}\n\u{10ffff}\"".repeat(10_000));
        let FromWorker::Failed(words) = &failed else {
            unreachable!()
        };
        assert!(words.chars().count() == WORDS_MAX && !words.contains('\n'));
        let mut counters = Counters::new();
        for _ in 0..3 {
            counters.add(&Counters::try_from(vec![u64::MAX; counters.numbers().count()]).unwrap());
        }
        counters.record(&Verdict::Drop(Reason::Scope));
        counters.lose(Loss::Congestion, 1);
        for message in [
            failed,
            FromWorker::Counted(Box::new(counters)),
            FromWorker::Logged(LogLine {
                level: log::Level::Error,
                target: "\u{10ffff}".repeat(64),
                text: "\u{10ffff}".repeat(LogLine::TEXT_MAX),
            }),
            FromWorker::Ready,
        ] {
            let encoded = serde_json::to_vec(&message).unwrap();
            assert!(encoded.len() <= FromWorker::MAX_LEN, "{}", encoded.len());
            let decoded: FromWorker = serde_json::from_slice(&encoded).unwrap();
            assert_eq!(decoded, message);
        }
    }
}

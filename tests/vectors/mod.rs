//! Reads the rule vectors: one file a case, one key and value a line, `#` starts a comment. Unknown keys are refused.
//!
//! | key | value | if absent |
//! | --- | --- | --- |
//! | `primary`, `secondary`, `prefix`, `mtu`, `private`, `own`, `broadcast`, `limit` | the setting; `own` and `broadcast` may be repeated; `limit` is packets a second and burst | 192.0.2.1, 192.0.2.2, 2001:0::, 1280, no, none, none, none |
//! | `qualification`, `key` | secure qualification: `optional` or `required`; a client's identifier and secret in hex, and perhaps `retired`, may be repeated | off, none |
//! | `from`, `via`, `truncated` | where the datagram comes from and arrives | 203.0.113.9:40000, primary, no |
//! | `in` | its bytes in hex; lines are joined | empty |
//! | `times` | how often it arrives in one moment; the last verdict counts | 1 |
//! | `drop` | the reason, and nothing is sent | |
//! | `send` | the kind of what is sent | |
//! | `udp` | the address it leaves from, and where it goes | |
//! | `native` | its source, destination and hop limit | |
//! | `out` | its bytes in hex; lines are joined | empty |

use std::fmt::Debug;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use miredo_server::limit::RateLimit;
use miredo_server::qualification::{ClientKey, Octets, Qualification};
use miredo_server::server::{Arrival, Policy, Server, Settings};
use miredo_server::verdict::{Kind, Reason, Route, Verdict};
use miredo_server::wire::address::ServicePrefix;
use platform::{REPLY_MAX, Via};

/// One case.
#[derive(Debug)]
pub(crate) struct Vector {
    /// The name of its file without the extension.
    pub(crate) name: String,
    pub(crate) settings: Settings,
    pub(crate) from: SocketAddrV4,
    pub(crate) via: Via,
    pub(crate) truncated: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) times: usize,
    pub(crate) expected: Outcome,
}

/// What is expected of a case, or came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Drop(Reason),
    Send(Kind, Route, Vec<u8>),
}

/// Every vector, by name.
///
/// # Errors
/// The first fault, as `file:line: what is wrong`.
pub(crate) fn all() -> Result<Vec<Vector>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut vectors = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let text = fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            vectors.push(read(&name, &text)?);
        }
    }
    vectors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(vectors)
}

impl Vector {
    /// Lets a new server decide.
    pub(crate) fn run(&self) -> Outcome {
        let mut server = Server::new(self.settings.clone());
        let mut out = [0xaa; REPLY_MAX];
        let Self {
            from,
            via,
            truncated,
            ..
        } = *self;
        let arrival = Arrival {
            bytes: &self.bytes,
            truncated,
            from,
            via,
            at: Instant::now(),
        };
        for _ in 1..self.times {
            let _ = server.handle(&arrival, &mut out);
        }
        match server.handle(&arrival, &mut out) {
            Verdict::Drop(reason) => Outcome::Drop(reason),
            Verdict::Send(reply) => Outcome::Send(
                reply.kind,
                reply.route,
                out.into_iter().take(reply.len).collect(),
            ),
        }
    }
}

fn read(name: &str, text: &str) -> Result<Vector, String> {
    let mut draft = Draft::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            draft
                .set(key, value.trim())
                .map_err(|fault| format!("{name}.txt:{number}: {fault}"))?;
        }
    }
    draft
        .finish(name)
        .map_err(|fault| format!("{name}.txt: {fault}"))
}

struct Draft {
    settings: Settings,
    from: SocketAddrV4,
    via: Via,
    truncated: bool,
    bytes: Vec<u8>,
    times: usize,
    reason: Option<Reason>,
    kind: Option<Kind>,
    route: Option<Route>,
    out: Vec<u8>,
}

impl Draft {
    fn new() -> Self {
        Self {
            settings: Settings {
                primary: Ipv4Addr::new(192, 0, 2, 1),
                secondary: Some(Ipv4Addr::new(192, 0, 2, 2)),
                own: Vec::new(),
                broadcasts: Vec::new(),
                policy: Policy {
                    prefix: ServicePrefix::GLOBAL,
                    mtu: 1280,
                    allow_private: false,
                    rate_limit: None,
                    qualification: None,
                },
            },
            from: SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 9), 40000),
            via: Via::Primary,
            truncated: false,
            bytes: Vec::new(),
            times: 1,
            reason: None,
            kind: None,
            route: None,
            out: Vec::new(),
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let settings = &mut self.settings;
        match key {
            "primary" => settings.primary = parse(value)?,
            "secondary" if value == "none" => settings.secondary = None,
            "secondary" => settings.secondary = Some(parse(value)?),
            "prefix" => settings.policy.prefix = ServicePrefix::of(parse(value)?),
            "mtu" => settings.policy.mtu = parse(value)?,
            "private" => settings.policy.allow_private = yes_or_no(value)?,
            "own" => settings.own.push(parse(value)?),
            "broadcast" => settings.broadcasts.push(parse(value)?),
            "limit" => {
                let [packets_per_second, burst] = words(value)?;
                settings.policy.rate_limit = Some(RateLimit {
                    packets_per_second: parse(packets_per_second)?,
                    burst: parse(burst)?,
                });
            }
            "qualification" => {
                settings.policy.qualification = Some(Qualification {
                    required: one_of(value, ["required", "optional"])?,
                    keys: Vec::new(),
                });
            }
            "key" => {
                let qualification = settings.policy.qualification.as_mut();
                qualification
                    .ok_or("a key before the qualification")?
                    .keys
                    .push(client_key(value)?);
            }
            "from" => self.from = parse(value)?,
            "via" => self.via = via(value)?,
            "truncated" => self.truncated = yes_or_no(value)?,
            "in" => self.bytes.extend(hex(value)?),
            "times" => self.times = parse(value)?,
            "drop" => self.reason = Some(named(&Reason::ALL, value)?),
            "send" => self.kind = Some(named(&Kind::ALL, value)?),
            "udp" => {
                let [from, to] = words(value)?;
                self.route = Some(Route::Udp {
                    via: via(from)?,
                    to: parse(to)?,
                });
            }
            "native" => {
                let [source, destination, hop_limit] = words(value)?;
                let (source, destination): (Ipv6Addr, Ipv6Addr) =
                    (parse(source)?, parse(destination)?);
                self.route = Some(Route::Native {
                    source,
                    destination,
                    hop_limit: parse(hop_limit)?,
                });
            }
            "out" => self.out.extend(hex(value)?),
            _ => return Err(format!("unknown key {key}")),
        }
        Ok(())
    }

    fn finish(self, name: &str) -> Result<Vector, String> {
        let expected = match (self.reason, self.kind, self.route) {
            (Some(reason), None, None) if self.out.is_empty() => Outcome::Drop(reason),
            (None, Some(kind), Some(route)) => Outcome::Send(kind, route, self.out),
            _ => {
                return Err(
                    "needs either `drop`, or `send` with `udp` or `native`, and `out`".into(),
                );
            }
        };
        let Self {
            settings,
            from,
            via,
            truncated,
            bytes,
            times,
            ..
        } = self;
        Ok(Vector {
            name: name.into(),
            settings,
            from,
            via,
            truncated,
            bytes,
            times,
            expected,
        })
    }
}

fn parse<T: FromStr>(value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("bad value {value}"))
}

fn words<const N: usize>(value: &str) -> Result<[&str; N], String> {
    let words: Vec<&str> = value.split_whitespace().collect();
    words.try_into().map_err(|_| format!("needs {N} words"))
}

fn client_key(value: &str) -> Result<ClientKey, String> {
    let (value, retired) = match value.strip_suffix(" retired") {
        Some(value) => (value, true),
        None => (value, false),
    };
    let [identifier, secret] = words(value)?;
    Ok(ClientKey {
        identifier: Octets::new(hex(identifier)?),
        secret: Octets::new(hex(secret)?),
        retired,
    })
}

fn yes_or_no(value: &str) -> Result<bool, String> {
    one_of(value, ["yes", "no"])
}

/// Whether it is the first of two words.
fn one_of(value: &str, [first, second]: [&str; 2]) -> Result<bool, String> {
    match value {
        value if value == first => Ok(true),
        value if value == second => Ok(false),
        _ => Err(format!("neither {first} nor {second}: {value}")),
    }
}

fn via(value: &str) -> Result<Via, String> {
    match value {
        "primary" => Ok(Via::Primary),
        "secondary" => Ok(Via::Secondary),
        _ => Err(format!("neither primary nor secondary: {value}")),
    }
}

fn named<T: Copy + Debug>(all: &[T], name: &str) -> Result<T, String> {
    all.iter()
        .copied()
        .find(|variant| format!("{variant:?}") == name)
        .ok_or(format!("no such name: {name}"))
}

fn hex(value: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = value
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| {
            character
                .to_digit(16)
                .ok_or(format!("no hex digit: {character}"))
        })
        .collect::<Result<_, _>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("odd number of hex digits".into());
    }
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(high << 4 | low).map_err(|error| error.to_string()))
        .collect()
}

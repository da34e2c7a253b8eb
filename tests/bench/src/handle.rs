//! `Server::handle` alone: nanoseconds a datagram, each kind and drop by itself, no kernel.

use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use clap::Args;
use miredo_server::limit::{Batch, RateLimit};
use miredo_server::qualification::{Authenticator, ClientKey, Octets, Qualification};
use miredo_server::server::{Arrival, Policy, Server, Settings};
use miredo_server::verdict::Verdict;
use miredo_server::wire::address::{ServicePrefix, TeredoAddress, server_link_local};
use miredo_server::wire::encapsulation::Datagram;
use miredo_server::wire::icmp6::{ECHO_REQUEST, Echo};
use platform::{REPLY_MAX, Via};

use crate::Fault;
use crate::report;
use crate::traffic::{Kind, Target};

#[derive(Args)]
pub(crate) struct HandleArgs {
    /// Milliseconds for each case.
    #[arg(long, default_value_t = 200)]
    time: u64,
    /// Handle each case so many times, and measure nothing: for a profiler.
    #[arg(long)]
    times: Option<u64>,
    /// Only the case of this name.
    #[arg(long)]
    only: Option<String>,
}

/// One datagram, and a limit that lets it through or does not, and clients that prove who they are or not.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    from: SocketAddrV4,
    limit: Option<RateLimit>,
    /// More arrives than can be answered, and its source is over its share.
    crowded: bool,
    qualified: bool,
}

const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 10), 40_000);
const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 20), 41_000);
const NATIVE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const PRIMARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Between two looks at the clock.
const ROUND: u32 = 1000;

pub(crate) fn main(args: &HandleArgs) -> Result<(), Fault> {
    for (name, nanoseconds) in measure(args)? {
        println!("{}", report::line(&name, nanoseconds));
    }
    Ok(())
}

/// What became of each case, and the median over rounds of nanoseconds.
fn measure(args: &HandleArgs) -> Result<Vec<(String, f64)>, Fault> {
    let cases = cases()?;
    let wanted = |case: &&Case| args.only.as_deref().is_none_or(|only| only == case.name);
    Ok(cases
        .iter()
        .filter(wanted)
        .map(|case| {
            let (verdict, nanoseconds) = run(case, args);
            (format!("{}: {verdict}", case.name), nanoseconds)
        })
        .collect())
}

fn run(case: &Case, args: &HandleArgs) -> (String, f64) {
    let mut server = server(case);
    let mut out = [0; REPLY_MAX];
    let begin = Instant::now();
    let mut arrival = Arrival {
        bytes: &case.bytes,
        truncated: false,
        from: case.from,
        via: Via::Primary,
        at: begin,
    };
    if case.crowded {
        crowd(&mut server, &mut arrival);
    }
    // A second one shows what a limit makes of it.
    let _ = server.handle(&arrival, &mut out);
    let verdict = match server.handle(&arrival, &mut out) {
        Verdict::Send(reply) => reply.kind.as_str(),
        Verdict::Drop(reason) => reason.as_str(),
    };
    let mut rounds = Vec::new();
    let mut round = |times: u64| {
        let start = Instant::now();
        for _ in 0..times {
            let _ = black_box(server.handle(black_box(&arrival), black_box(&mut out)));
        }
        rounds.push(start.elapsed().as_secs_f64() * 1e9 / times as f64);
    };
    match args.times {
        Some(times) => round(times),
        None => {
            while begin.elapsed() < Duration::from_millis(args.time) {
                round(ROUND.into());
            }
        }
    }
    (verdict.to_owned(), report::median(&rounds))
}

/// Has the source ask for far more than its share, until it is told from all of its neighbours.
fn crowd(server: &mut Server, arrival: &mut Arrival<'_>) {
    let mut out = [0; REPLY_MAX];
    let batch = Batch {
        datagrams: ROUND as usize,
        full: true,
        backlogged: Some(true),
        rest: Duration::ZERO,
    };
    for _ in 0..5 {
        server.arrived(batch, arrival.at);
        for _ in 0..ROUND {
            let _ = server.handle(arrival, &mut out);
        }
        let quiet = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 7), 40_000);
        let from = std::mem::replace(&mut arrival.from, quiet);
        let _ = server.handle(arrival, &mut out);
        arrival.from = from;
        arrival.at += Duration::from_millis(10);
    }
    server.arrived(batch, arrival.at);
}

fn server(case: &Case) -> Server {
    Server::new(Settings {
        primary: PRIMARY,
        secondary: Some(Ipv4Addr::new(192, 0, 2, 2)),
        own: vec![Ipv4Addr::LOCALHOST.into()],
        broadcasts: vec![Ipv4Addr::new(192, 0, 2, 255)],
        policy: Policy {
            prefix: ServicePrefix::GLOBAL,
            mtu: 1280,
            allow_private: false,
            rate_limit: case.limit,
            qualification: case.qualified.then(|| Qualification {
                required: true,
                keys: (0..CLIENTS).map(client_key).collect(),
            }),
        },
    })
}

fn cases() -> Result<Vec<Case>, Fault> {
    let target = Target::at(PRIMARY);
    let first = |kind: Kind| -> Result<Vec<u8>, Fault> {
        let templates = kind.templates(target, CLIENT, PEER)?;
        let template = templates.into_iter().next().ok_or("no template")?;
        Ok(template.bytes)
    };
    let never = RateLimit {
        packets_per_second: NonZeroU32::MIN,
        burst: NonZeroU32::MIN,
    };
    let always = RateLimit {
        packets_per_second: NonZeroU32::MAX,
        burst: NonZeroU32::MAX,
    };
    let case = |name, bytes| Case {
        name,
        bytes,
        from: CLIENT,
        limit: None,
        crowded: false,
        qualified: false,
    };
    let qualified = |name, bytes| Case {
        qualified: true,
        ..case(name, bytes)
    };
    let plain = first(Kind::Solicitation)?;
    let signed = authenticated(&plain, &client_key(CLIENTS / 2))?;
    let mut wrong = signed.clone();
    // The value begins after four octets and an identifier of as many.
    *wrong.get_mut(8).ok_or("no value")? ^= 1;
    let unknown = authenticated(&plain, &client_key(CLIENTS))?;
    let elsewhere = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 11), 40_000);
    Ok(vec![
        case("solicitation", first(Kind::Solicitation)?),
        case("bubble", first(Kind::Bubble)?),
        case("echo to a client", first(Kind::Echo)?),
        case("echo to the server", echo(server_link_local(PRIMARY))?),
        case("echo to a native host", echo(NATIVE)?),
        Case {
            limit: Some(always),
            ..case("solicitation, within a limit", first(Kind::Solicitation)?)
        },
        Case {
            limit: Some(never),
            ..case("solicitation, over a limit", first(Kind::Solicitation)?)
        },
        Case {
            crowded: true,
            ..case("solicitation, over a share", first(Kind::Solicitation)?)
        },
        Case {
            from: elsewhere,
            ..case("bubble from elsewhere", first(Kind::Bubble)?)
        },
        Case {
            from: SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 40_000),
            ..case("bubble from a private address", first(Kind::Bubble)?)
        },
        qualified("solicitation, authenticated", signed),
        qualified("solicitation, wrong value", wrong),
        qualified("solicitation, unknown client", unknown),
        qualified("solicitation, no client", plain),
        case("junk", first(Kind::Junk)?),
        case("nothing", Vec::new()),
    ])
}

/// How many clients have a key.
const CLIENTS: u32 = 10_000;

fn client_key(number: u32) -> ClientKey {
    ClientKey {
        identifier: Octets::new(number.to_be_bytes().into()),
        secret: Octets::new(vec![number.to_be_bytes()[3]; 16]),
        retired: false,
    }
}

/// The solicitation in the name of a client.
fn authenticated(solicitation: &[u8], key: &ClientKey) -> Result<Vec<u8>, Fault> {
    let datagram = Datagram::parse(solicitation)?;
    let clear_text = match datagram.authentication {
        Some(_) => datagram.clear_text().to_vec(),
        None => [&[0; 9], datagram.clear_text()].concat(),
    };
    let authenticator = Authenticator::new(&key.secret).ok_or("no key")?;
    let value = authenticator.value(&clear_text);
    let identifier = key.identifier.as_bytes();
    let lengths = [u8::try_from(identifier.len())?, u8::try_from(value.len())?];
    Ok([&[0, 1], &lengths, identifier, &value, &clear_text].concat())
}

fn echo(destination: Ipv6Addr) -> Result<Vec<u8>, Fault> {
    let source = TeredoAddress {
        prefix: ServicePrefix::GLOBAL,
        server: PRIMARY,
        flags: 0,
        mapped: CLIENT,
    };
    let request = Echo {
        kind: ECHO_REQUEST,
        identifier: 1,
        sequence: 1,
        data: &[0xa5; 16],
    };
    let mut bytes = vec![0; 64];
    request
        .emit(&mut bytes, source.to_ipv6(), destination, 64)
        .ok_or("an echo does not fit")?;
    Ok(bytes)
}

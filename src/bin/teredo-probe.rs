//! Tells whether a Teredo server works, and how a host appears to it: the questions of a client's qualification
//! (RFC 4380 section 5.2.1), without its state.
#![forbid(unsafe_code)]

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use miredo_server::cli::probe::Options;
use miredo_server::wire::TEREDO_PORT;
use miredo_server::wire::address::{ALL_ROUTERS, CONE, link_local};
use miredo_server::wire::discovery::{RouterAdvertisement, RouterSolicitation};
use miredo_server::wire::encapsulation::{Authentication, Datagram, OriginIndication};
use miredo_server::wire::ipv6::HEADER_LEN;
use platform::OsError;

/// A client asks so often before it gives up (RFC 4380 section 5.2.1).
const TRIES: u32 = 3;

/// Authentication header, IPv6 header, Router Solicitation.
const SOLICITATION_LEN: usize = Authentication::MIN_LEN + HEADER_LEN + RouterSolicitation::MIN_LEN;

fn main() -> ExitCode {
    // Not println, which panics when the reader has had enough.
    match probe(&Options::parse(), &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("teredo-probe: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Asks the three questions; says whether the server works.
fn probe(options: &Options, out: &mut impl Write) -> Result<bool, Box<dyn std::error::Error>> {
    let primary = options.server.resolve()?;
    let secondary = match &options.secondary {
        Some(host) => host.resolve()?,
        None => Ipv4Addr::from_bits(primary.to_bits().wrapping_add(1)),
    };
    let client = Client::new(primary, Duration::from_millis(options.wait))?;

    let Some(answer) = client.ask(primary, 0)? else {
        let what = format!("no answer; is UDP port {TEREDO_PORT} open, there and here?");
        writeln!(out, "{primary}: {what}")?;
        return Ok(false);
    };
    let RouterAdvertisement { prefix, mtu, .. } = answer.advertisement;
    writeln!(out, "{primary}: {answer}")?;
    writeln!(out, "prefix {prefix}/64, MTU {mtu}")?;
    writeln!(out, "mapped address {}", answer.mapped)?;

    let other = client.ask(secondary, 0)?;
    writeln!(
        out,
        "{secondary}: {}",
        about_secondary(other, answer.mapped)
    )?;

    let cone = client.ask(primary, CONE)?;
    let wrong = cone.as_ref().is_some_and(|cone| cone.from == primary);
    writeln!(out, "cone solicitation: {}", about_cone(cone, wrong))?;
    Ok(!wrong)
}

fn about_secondary(answer: Option<Answer>, mapped: SocketAddrV4) -> String {
    match answer {
        None => "no answer; clients cannot tell what NAT they are behind".to_owned(),
        Some(other) if other.mapped == mapped => other.to_string(),
        Some(other) => format!(
            "{other}, mapped address {} there: a symmetric NAT, through which Teredo does not work",
            other.mapped
        ),
    }
}

fn about_cone(answer: Option<Answer>, wrong: bool) -> String {
    match answer {
        None => "no answer; a restricted NAT, or no second address".to_owned(),
        Some(cone) if wrong => format!("answered from {}, which is wrong", cone.from),
        Some(cone) => format!("answered from {}; no NAT, or a cone NAT", cone.from),
    }
}

struct Client {
    socket: UdpSocket,
    wait: Duration,
    nonces: RandomState,
}

struct Answer {
    from: Ipv4Addr,
    after: Duration,
    mapped: SocketAddrV4,
    advertisement: RouterAdvertisement,
}

impl Client {
    /// Speaks from one address to both of the server's, the one that the system takes to reach `server`: left to
    /// itself, it takes another for each where the server is on the same host, which would look like a symmetric NAT.
    fn new(server: Ipv4Addr, wait: Duration) -> io::Result<Self> {
        let here = bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
        here.connect((server, TEREDO_PORT))
            .map_err(|error| OsError::new("connect", server, error))?;
        let mut here = here.local_addr()?;
        here.set_port(0);
        Ok(Self {
            socket: bind(here)?,
            wait,
            nonces: RandomState::new(),
        })
    }

    /// Solicits an advertisement until one comes or the tries are used up.
    fn ask(&self, server: Ipv4Addr, flags: u16) -> io::Result<Option<Answer>> {
        for number in 0..TRIES {
            let nonce = self.nonces.hash_one((server, flags, number)).to_be_bytes();
            let sent = Instant::now();
            let to = SocketAddrV4::new(server, TEREDO_PORT);
            self.socket
                .send_to(&solicitation(nonce, flags), to)
                .map_err(|error| OsError::new("send", to, error))?;
            if let Some(answer) = self.answer(nonce, sent)? {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    fn answer(&self, nonce: [u8; 8], sent: Instant) -> io::Result<Option<Answer>> {
        let mut bytes = [0; 2048];
        loop {
            let after = sent.elapsed();
            let Some(rest) = self.wait.checked_sub(after).filter(|rest| !rest.is_zero()) else {
                return Ok(None);
            };
            self.socket.set_read_timeout(Some(rest))?;
            match self.socket.recv_from(&mut bytes) {
                Ok((len, SocketAddr::V4(from))) => {
                    let answer = bytes.get(..len).and_then(|bytes| read(bytes, nonce));
                    if let Some((mapped, advertisement)) = answer {
                        let (from, after) = (*from.ip(), sent.elapsed());
                        return Ok(Some(Answer {
                            from,
                            after,
                            mapped,
                            advertisement,
                        }));
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // An ICMP error; another server may still answer.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                // Stopped at the terminal and continued.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(OsError::new("receive", "", error).into()),
            }
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::bind(address).map_err(|error| OsError::new("bind", address, error).into())
}

/// A client's Router Solicitation with authentication header and nonce (RFC 4380 sections 5.2.1 and 5.2.2).
fn solicitation(nonce: [u8; 8], flags: u16) -> [u8; SOLICITATION_LEN] {
    let mut bytes = [0; SOLICITATION_LEN];
    let unknown = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    let solicitation = RouterSolicitation {
        source: link_local(flags, unknown),
        destination: ALL_ROUTERS,
    };
    let header = Authentication {
        nonce,
        ..Authentication::default()
    };
    let rest = header
        .emit(&mut bytes)
        .and_then(|rest| solicitation.emit(rest));
    debug_assert_eq!(rest.map(|rest| rest.len()), Some(0));
    bytes
}

/// What an answer to that nonce says, if it is one.
fn read(bytes: &[u8], nonce: [u8; 8]) -> Option<(SocketAddrV4, RouterAdvertisement)> {
    let datagram = Datagram::parse(bytes).ok()?;
    if datagram.authentication?.nonce != nonce {
        return None;
    }
    let OriginIndication(mapped) = datagram.origin?;
    let advertisement = RouterAdvertisement::parse(&datagram.packet).ok()?;
    Some((mapped, advertisement))
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.after.as_secs_f64() * 1000.0;
        write!(f, "answered after {after:.1} ms")
    }
}

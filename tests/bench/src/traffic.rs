//! What clients send, and what can be read from an answer.
//!
//! Each datagram carries the moment at which it left where a server must return it unchanged and no checksum notices:
//! in the nonce of a solicitation, in the flow label of a bubble, and, beside its complement, in the data of an echo.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use clap::ValueEnum;
use miredo_server::wire::TEREDO_PORT;
use miredo_server::wire::address::{ALL_ROUTERS, CONE, ServicePrefix, TeredoAddress, link_local};
use miredo_server::wire::discovery::RouterSolicitation;
use miredo_server::wire::encapsulation::Authentication;
use miredo_server::wire::icmp6::{ECHO_REQUEST, Echo};
use miredo_server::wire::ipv6::Header;

use crate::Fault;

/// What a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Router Solicitations with a nonce, 61 bytes.
    Solicitation,
    /// Bubbles to a Teredo client, 40 bytes.
    Bubble,
    /// Echo requests to a Teredo client, 64 bytes.
    Echo,
    /// Ten solicitations, one of them with the cone bit and one to the secondary address, four bubbles, two echoes.
    Mix,
    /// 61 bytes that are no IPv6 packet; unanswered.
    Junk,
}

/// The two addresses of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) primary: SocketAddrV4,
    pub(crate) secondary: SocketAddrV4,
}

impl Target {
    /// The server at `primary` and the address after it.
    pub(crate) fn at(primary: Ipv4Addr) -> Self {
        let secondary = Ipv4Addr::from_bits(primary.to_bits() + 1);
        Self {
            primary: SocketAddrV4::new(primary, TEREDO_PORT),
            secondary: SocketAddrV4::new(secondary, TEREDO_PORT),
        }
    }
}

/// One datagram, to be stamped each time that it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) to: SocketAddrV4,
    pub(crate) bytes: Vec<u8>,
    place: Place,
}

/// Where the moment goes.
#[derive(Clone, Copy, Debug)]
enum Place {
    Nonce,
    FlowLabel,
    EchoData,
    Nowhere,
}

/// Length of the questions and of the answers to them.
pub(crate) const SOLICITATION: (usize, usize) = (61, 117);
/// The answer has an origin indication in front.
pub(crate) const BUBBLE: (usize, usize) = (40, 48);
/// The same.
pub(crate) const ECHO: (usize, usize) = (64, 72);

const NONCE_AT: usize = 4;
const FLOW_LABEL_AT: usize = 1;
const ECHO_DATA_AT: usize = 48;
/// Of an origin indication.
const ORIGIN: usize = 8;
/// Microseconds that fit a flow label.
const LABELS: u64 = 1 << 20;

impl Kind {
    /// What a client at `client` sends, one after the other and from the start again; what is forwarded goes to `peer`.
    pub(crate) fn templates(
        self,
        target: Target,
        client: SocketAddrV4,
        peer: SocketAddrV4,
    ) -> Result<Vec<Template>, Fault> {
        let Target { primary, secondary } = target;
        let solicitation = || solicitation(primary, 0, client);
        let bubble = || bubble(primary, client, peer);
        let echo = || echo(primary, client, peer);
        Ok(match self {
            Self::Solicitation => vec![solicitation()?],
            Self::Bubble => vec![bubble()?],
            Self::Echo => vec![echo()?],
            Self::Junk => vec![junk(primary)],
            Self::Mix => {
                let mut mix = Vec::new();
                for turn in 0..8 {
                    mix.push(match turn {
                        0 => self::solicitation(primary, CONE, client)?,
                        1 => self::solicitation(secondary, 0, client)?,
                        _ => solicitation()?,
                    });
                    mix.push(match turn {
                        0 | 4 => solicitation()?,
                        2 | 6 => echo()?,
                        _ => bubble()?,
                    });
                }
                mix
            }
        })
    }
}

impl Template {
    /// Writes the datagram with its moment, in nanoseconds since any fixed time, into `out`; says how long it is.
    pub(crate) fn emit(&self, out: &mut [u8], now: u64) -> usize {
        if let Some(out) = out.get_mut(..self.bytes.len()) {
            out.copy_from_slice(&self.bytes);
        }
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(field) = out.get_mut(at..at + bytes.len()) {
                field.copy_from_slice(bytes);
            }
        };
        match self.place {
            Place::Nonce => put(NONCE_AT, &now.to_be_bytes()),
            Place::FlowLabel => {
                let [.., high, middle, low] = label(now).to_be_bytes();
                put(FLOW_LABEL_AT, &[high, middle, low]);
            }
            Place::EchoData => {
                put(ECHO_DATA_AT, &now.to_be_bytes());
                put(ECHO_DATA_AT + 8, &(!now).to_be_bytes());
            }
            Place::Nowhere => {}
        }
        self.bytes.len()
    }
}

/// How old the question was, in nanoseconds, to which this is the answer, if it says so.
pub(crate) fn age(answer: &[u8], now: u64) -> Option<u64> {
    let stamp = |at: usize| {
        let field = answer.get(at..at + 8)?;
        Some(u64::from_be_bytes(field.try_into().ok()?))
    };
    match answer.len() {
        len if len == SOLICITATION.1 => Some(now.saturating_sub(stamp(NONCE_AT)?)),
        len if len == ECHO.1 => Some(now.saturating_sub(stamp(ORIGIN + ECHO_DATA_AT)?)),
        len if len == BUBBLE.1 => {
            let sent = stamp(ORIGIN + FLOW_LABEL_AT)? >> 40;
            Some((label(now) + LABELS - sent % LABELS) % LABELS * 1000)
        }
        _ => None,
    }
}

/// Nanoseconds since `start`.
pub(crate) fn since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn label(now: u64) -> u64 {
    now / 1000 % LABELS
}

fn solicitation(to: SocketAddrV4, flags: u16, client: SocketAddrV4) -> Result<Template, Fault> {
    let solicitation = RouterSolicitation {
        source: link_local(flags, client),
        destination: ALL_ROUTERS,
    };
    template(to, Place::Nonce, SOLICITATION, |out| {
        solicitation.emit(Authentication::default().emit(out)?)
    })
}

fn bubble(to: SocketAddrV4, client: SocketAddrV4, peer: SocketAddrV4) -> Result<Template, Fault> {
    let [source, destination] = [client, peer].map(|mapped| teredo(to, mapped).to_ipv6());
    template(to, Place::FlowLabel, BUBBLE, |out| {
        Header::bubble(source, destination).emit(out)
    })
}

fn echo(to: SocketAddrV4, client: SocketAddrV4, peer: SocketAddrV4) -> Result<Template, Fault> {
    let [source, destination] = [client, peer].map(|mapped| teredo(to, mapped).to_ipv6());
    // A moment and its complement, whichever, add up to the same checksum.
    let data = [[0; 8], [0xff; 8]].concat();
    let request = Echo {
        kind: ECHO_REQUEST,
        identifier: client.port(),
        sequence: 1,
        data: &data,
    };
    template(to, Place::EchoData, ECHO, |out| {
        request.emit(out, source, destination, 64)
    })
}

fn junk(to: SocketAddrV4) -> Template {
    Template {
        to,
        bytes: vec![0xa5; SOLICITATION.0],
        place: Place::Nowhere,
    }
}

fn teredo(server: SocketAddrV4, client: SocketAddrV4) -> TeredoAddress {
    TeredoAddress {
        prefix: ServicePrefix::GLOBAL,
        server: *server.ip(),
        flags: 0,
        mapped: client,
    }
}

fn template(
    to: SocketAddrV4,
    place: Place,
    (len, _): (usize, usize),
    emit: impl FnOnce(&mut [u8]) -> Option<&mut [u8]>,
) -> Result<Template, Fault> {
    let mut bytes = vec![0; len];
    match emit(&mut bytes).map(|left| left.len()) {
        Some(0) => Ok(Template { to, bytes, place }),
        Some(left) => Err(format!("a {place:?} template of {len} bytes lacks {left}").into()),
        None => Err(format!("a {place:?} template does not fit {len} bytes").into()),
    }
}

#[cfg(test)]
mod tests {
    use miredo_server::wire::encapsulation::Datagram;
    use miredo_server::wire::icmp6::verify_checksum;

    use super::*;

    const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), 40_000);
    const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), 40_001);

    fn target() -> Target {
        Target::at(Ipv4Addr::new(192, 0, 2, 1))
    }

    #[test]
    fn a_mix_is_sixteen() {
        assert_eq!(
            Kind::Mix.templates(target(), CLIENT, PEER).unwrap().len(),
            16
        );
    }

    #[test]
    fn stamps_leave_checksums_right() {
        for now in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let mut out = [0; 256];
            let echo = &Kind::Echo.templates(target(), CLIENT, PEER).unwrap()[0];
            let len = echo.emit(&mut out, now);
            verify_checksum(&Datagram::parse(&out[..len]).unwrap().packet).unwrap();
        }
    }

    #[test]
    fn an_answer_tells_the_age_of_its_question() {
        let (sent, now) = (7_654_321_000, 7_654_321_000 + 55_000);
        for (kind, origin, (_, answered)) in [
            (Kind::Solicitation, 0, SOLICITATION),
            (Kind::Bubble, ORIGIN, BUBBLE),
            (Kind::Echo, ORIGIN, ECHO),
        ] {
            let template = &kind.templates(target(), CLIENT, PEER).unwrap()[0];
            let mut answer = [0; 256];
            template.emit(&mut answer[origin..], sent);
            assert_eq!(age(&answer[..answered], now), Some(55_000), "{kind:?}");
        }
        assert_eq!(age(&[0; 3], now), None);
    }
}

//! Which kind of NAT the answers show (RFC 4380 section 3.1; RFC 6081 section 2 for the finer words).

use std::fmt;
use std::net::SocketAddrV4;

use super::answer::Answer;

/// Kinds of NAT, by what they mean for Teredo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The server sees the address and port that the probe sends from.
    None,
    /// What comes to the mapped address is let in, whoever sent it.
    Cone,
    /// Let in is only what comes from where something was sent to: address- or port-restricted, which Teredo does not tell apart.
    Restricted,
    /// Each destination sees another port: no Teredo.
    Symmetric,
    /// There is one. A server with one address, or answers that were lost, do not tell its kind.
    Unknown,
}

impl Kind {
    /// Its name in every output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Cone => "cone",
            Self::Restricted => "restricted",
            Self::Symmetric => "symmetric",
            Self::Unknown => "unknown",
        }
    }
}

/// The NAT between probe and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// Its kind.
    pub kind: Kind,
    /// It gives a local port the same number outside, at least as long as that is free ("port-preserving", RFC 6081 section 2).
    pub preserves_ports: bool,
    /// Distance of two ports given to one local port, if it is small ("sequential port-symmetric", RFC 6081 section 2).
    pub step: Option<i32>,
    /// There is no NAT, but what the secondary address sent unasked did not arrive either: a packet filter.
    pub filtered: bool,
}

/// What is seen of a NAT.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The service port here.
    pub service: SocketAddrV4,
    /// The other port here.
    pub other: SocketAddrV4,
    /// Where the primary address saw the service port.
    pub mapped: SocketAddrV4,
    /// The answer to the cone solicitation.
    pub cone: Option<&'a Answer>,
    /// Whether the cone solicitation was sent.
    pub cone_asked: bool,
    /// What both addresses say of the other port.
    pub first: Option<&'a Answer>,
    /// The secondary's part of it.
    pub second: Option<&'a Answer>,
}

/// Distances that RFC 6081 section 2 calls typical are 1 and 2; other traffic may take a port in between.
const LONGEST_STEP: i32 = 8;

impl Nat {
    /// Tells the kind of NAT.
    #[must_use]
    pub fn from_seen(seen: &Seen<'_>) -> Self {
        let both = seen.first.zip(seen.second);
        let (first, second) = match both {
            Some((first, second)) => (first.mapped, second.mapped),
            None => (seen.other, seen.other),
        };
        let symmetric = first != second;
        let kind = if seen.mapped == seen.service && !symmetric {
            Kind::None
        } else if seen.cone.is_some() {
            // Also where other ports are treated as by a symmetric NAT: this one may be reserved (RFC 4380 section 5.2.10).
            Kind::Cone
        } else if symmetric {
            Kind::Symmetric
        } else if both.is_some() && seen.cone_asked {
            Kind::Restricted
        } else {
            Kind::Unknown
        };
        let step = i32::from(second.port()).wrapping_sub(i32::from(first.port()));
        Self {
            kind,
            preserves_ports: kind != Kind::None
                && seen.mapped.port() == seen.service.port()
                && seen
                    .first
                    .is_none_or(|first| first.mapped.port() == seen.other.port()),
            step: (kind == Kind::Symmetric
                && first.ip() == second.ip()
                && step.abs() <= LONGEST_STEP)
                .then_some(step),
            filtered: kind == Kind::None && seen.cone_asked && seen.cone.is_none(),
        }
    }
}

impl fmt::Display for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        if self.preserves_ports {
            f.write_str(", port-preserving")?;
        }
        if let Some(step) = self.step {
            write!(f, ", sequential ports ({step:+})")?;
        }
        if self.filtered {
            f.write_str(", but a packet filter lets only answers in")?;
        }
        if self.kind == Kind::Symmetric {
            f.write_str("; Teredo does not work through it, whatever the server")?;
        }
        Ok(())
    }
}

//! What a UDP datagram of Teredo holds (RFC 4380 section 5.1.1).

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::{ipv6, put};

/// Why a datagram is no well-formed Teredo packet (RFC 4380 section 5.3.1 rule 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// It ends inside its authentication header.
    Authentication,
    /// It ends inside its origin indication.
    Origin,
    /// What follows these is no IPv6 packet.
    Packet(ipv6::Malformed),
}

impl From<ipv6::Malformed> for Malformed {
    fn from(fault: ipv6::Malformed) -> Self {
        Self::Packet(fault)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authentication => f.write_str("authentication header cut short"),
            Self::Origin => f.write_str("origin indication cut short"),
            Self::Packet(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for Malformed {}

/// An authentication header (RFC 4380 sections 5.1.1 and 5.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Authentication<'a> {
    /// Whose key was used; at most 255 bytes, empty without secure qualification.
    pub identifier: &'a [u8],
    /// The authentication value; at most 255 bytes, empty without secure qualification.
    pub value: &'a [u8],
    /// Chosen by the client and repeated by the server.
    pub nonce: [u8; 8],
    /// Zero from a client; from a server, zero if the key is still good.
    pub confirmation: u8,
}

impl<'a> Authentication<'a> {
    /// First two bytes of the header.
    pub const MARK: [u8; 2] = [0, 1];
    /// Length in bytes with both variable fields empty.
    pub const MIN_LEN: usize = 13;

    /// Reads a header from the start of `bytes`, if its mark is there, and returns it with what follows.
    ///
    /// # Errors
    /// [`Malformed::Authentication`] if the mark is there and the rest is not.
    pub fn split(bytes: &'a [u8]) -> Result<(Option<Self>, &'a [u8]), Malformed> {
        match bytes.strip_prefix(&Self::MARK) {
            None => Ok((None, bytes)),
            Some(body) => Self::split_body(body)
                .map(|(header, rest)| (Some(header), rest))
                .ok_or(Malformed::Authentication),
        }
    }

    /// Writes the header; see [`super`]. Variable fields of more than 255 bytes do not fit either.
    #[must_use]
    pub fn emit<'o>(&self, out: &'o mut [u8]) -> Option<&'o mut [u8]> {
        let lengths = [
            u8::try_from(self.identifier.len()).ok()?,
            u8::try_from(self.value.len()).ok()?,
        ];
        let out = put(out, &Self::MARK)?;
        let out = put(out, &lengths)?;
        let out = put(out, self.identifier)?;
        let out = put(out, self.value)?;
        let out = put(out, &self.nonce)?;
        put(out, &[self.confirmation])
    }

    /// Where the nonce begins in a datagram with this header. What the value covers begins there, too (RFC 4380 section 5.2.2).
    #[must_use]
    pub fn nonce_at(&self) -> usize {
        let lengths = [2, self.identifier.len(), self.value.len()];
        lengths
            .into_iter()
            .fold(Self::MARK.len(), usize::saturating_add)
    }

    fn split_body(body: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[identifier_len, value_len], rest) = body.split_first_chunk()?;
        let (identifier, rest) = rest.split_at_checked(identifier_len.into())?;
        let (value, rest) = rest.split_at_checked(value_len.into())?;
        let (&nonce, rest) = rest.split_first_chunk()?;
        let (&confirmation, rest) = rest.split_first()?;
        Some((
            Self {
                identifier,
                value,
                nonce,
                confirmation,
            },
            rest,
        ))
    }
}

/// An origin indication: where the packet behind it came from (RFC 4380 section 5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginIndication(pub SocketAddrV4);

impl OriginIndication {
    /// First two bytes of the indication.
    pub const MARK: [u8; 2] = [0, 0];
    /// Length in bytes.
    pub const LEN: usize = 8;

    /// Reads an indication from the start of `bytes`, if its mark is there, and returns it with what follows.
    ///
    /// # Errors
    /// [`Malformed::Origin`] if the mark is there and the rest is not.
    pub fn split(bytes: &[u8]) -> Result<(Option<Self>, &[u8]), Malformed> {
        let Some(body) = bytes.strip_prefix(&Self::MARK) else {
            return Ok((None, bytes));
        };
        let (&[p0, p1, a, b, c, d], rest) = body.split_first_chunk().ok_or(Malformed::Origin)?;
        let port = !u16::from_be_bytes([p0, p1]);
        Ok((
            Some(Self(SocketAddrV4::new(Ipv4Addr::new(!a, !b, !c, !d), port))),
            rest,
        ))
    }

    /// Writes the indication; see [`super`].
    #[must_use]
    pub fn emit<'o>(&self, out: &'o mut [u8]) -> Option<&'o mut [u8]> {
        let out = put(out, &Self::MARK)?;
        let out = put(out, &(!self.0.port()).to_be_bytes())?;
        put(out, &(!self.0.ip().to_bits()).to_be_bytes())
    }
}

/// A Teredo datagram taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    whole: &'a [u8],
    /// Always the first element where there is one.
    pub authentication: Option<Authentication<'a>>,
    /// Between authentication and packet.
    pub origin: Option<OriginIndication>,
    /// The IPv6 packet, exactly as long as its header says.
    pub packet: ipv6::Packet<'a>,
    /// Whatever follows the packet: trailers (RFC 6081 section 4), or anything.
    pub rest: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Takes the payload of a UDP datagram apart.
    ///
    /// # Errors
    /// The first fault found, front to back.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let whole = bytes;
        let (authentication, bytes) = Authentication::split(bytes)?;
        let (origin, bytes) = OriginIndication::split(bytes)?;
        let (packet, rest) = ipv6::Packet::split(bytes)?;
        Ok(Self {
            whole,
            authentication,
            origin,
            packet,
            rest,
        })
    }

    /// What an authentication value covers (RFC 4380 section 5.2.2): nonce, confirmation byte, origin indication and packet, as they
    /// came; without an authentication header, the latter two.
    #[must_use]
    pub fn clear_text(&self) -> &'a [u8] {
        let start = self.authentication.map_or(0, |header| header.nonce_at());
        let end = self.whole.len().saturating_sub(self.rest.len());
        self.whole.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 4380 section 5.1.1.
    #[test]
    fn origin_indication_of_the_rfc() {
        let bytes = [0, 0, 0xfe, 0xae, 0xfe, 0xfd, 0xfc, 0xfb];
        let origin = OriginIndication("1.2.3.4:337".parse().unwrap());
        assert_eq!(OriginIndication::split(&bytes), Ok((Some(origin), &[][..])));
        let mut out = [0xaa; 9];
        assert_eq!(origin.emit(&mut out).unwrap(), [0xaa]);
        assert_eq!(out[..8], bytes);
        assert_eq!(OriginIndication::split(&bytes[..7]), Err(Malformed::Origin));
        assert_eq!(origin.emit(&mut out[..7]), None);
    }

    #[test]
    fn authentication_with_and_without_identifier() {
        for (identifier, value) in [
            (&b""[..], &b""[..]),
            (b"me", b"mac"),
            (&[7; 255], &[8; 255]),
        ] {
            let header = Authentication {
                identifier,
                value,
                nonce: *b"noncense",
                confirmation: 1,
            };
            let mut out = [0xaa; 600];
            let left = header.emit(&mut out).unwrap().len();
            let len = 600 - left;
            assert_eq!(
                len,
                Authentication::MIN_LEN + identifier.len() + value.len()
            );
            assert_eq!(
                Authentication::split(&out[..len]),
                Ok((Some(header), &[][..]))
            );
            for short in 2..len {
                assert_eq!(
                    Authentication::split(&out[..short]),
                    Err(Malformed::Authentication)
                );
            }
        }
        let long = Authentication {
            identifier: &[0; 256],
            ..Authentication::default()
        };
        assert_eq!(long.emit(&mut [0; 600]), None);
    }
}

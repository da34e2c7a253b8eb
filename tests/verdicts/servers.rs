//! Servers, right and wrong: a datagram from a mapped address to one of their addresses in, datagrams out.

use std::net::{Ipv6Addr, SocketAddrV4};

use miredo_server::probe::question::Target;
use miredo_server::wire::encapsulation::{Authentication, OriginIndication};
use miredo_server::wire::ipv6::{Header, ICMP6};
use miredo_server::wire::options::{emit_mtu, emit_prefix};

/// The server's view of its network; it gets the target, so that it knows its own addresses.
pub(super) type Server =
    Box<dyn Fn(Target, SocketAddrV4, SocketAddrV4, &[u8]) -> Vec<(SocketAddrV4, Vec<u8>)>>;

/// An advertisement under construction.
struct Reply {
    from: SocketAddrV4,
    to: SocketAddrV4,
    asked: SocketAddrV4,
    cone: bool,
    nonce: Option<[u8; 8]>,
    origin: Option<SocketAddrV4>,
    hop_limit: u8,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    prefix: Ipv6Addr,
    prefixes: usize,
    mtu: Option<u32>,
    checksum: u16,
}

impl Reply {
    /// As a right server would have it.
    fn right(target: Target, mapped: SocketAddrV4, asked: SocketAddrV4, bytes: &[u8]) -> Self {
        let source: [u8; 16] = bytes[21..37].try_into().unwrap();
        let destination = Ipv6Addr::from(source);
        let cone = source[8] & 0x80 != 0;
        let primary = SocketAddrV4::new(target.primary, 3544);
        let other = match target.secondary {
            Some(secondary) if asked == primary => SocketAddrV4::new(secondary, 3544),
            _ => primary,
        };
        Self {
            from: if cone { other } else { asked },
            to: mapped,
            asked,
            cone,
            nonce: Some(bytes[4..12].try_into().unwrap()),
            origin: Some(mapped),
            hop_limit: 255,
            source: "fe80::8000:f227:39cc:9bfe".parse().unwrap(),
            destination,
            prefix: "2001:0:c633:6401::".parse().unwrap(),
            prefixes: 1,
            mtu: Some(1280),
            checksum: 0,
        }
    }

    fn emit(&self) -> Vec<u8> {
        let mut bytes = vec![0; 400];
        let mut out = &mut bytes[..];
        if let Some(nonce) = self.nonce {
            let header = Authentication {
                nonce,
                ..Authentication::default()
            };
            out = header.emit(out).unwrap();
        }
        if let Some(origin) = self.origin {
            out = OriginIndication(origin).emit(out).unwrap();
        }
        let message = self.message();
        let header = Header {
            next_header: ICMP6,
            payload_len: message.len().try_into().unwrap(),
            hop_limit: self.hop_limit,
            source: self.source,
            destination: self.destination,
        };
        out = header.emit(out).unwrap();
        out[..message.len()].copy_from_slice(&message);
        let left = out.len() - message.len();
        bytes.truncate(400 - left);
        bytes
    }

    fn message(&self) -> Vec<u8> {
        let mut message = vec![0; 200];
        message[0] = 134;
        message[12..16].copy_from_slice(&2000_u32.to_be_bytes());
        let mut out = &mut message[16..];
        for _ in 0..self.prefixes {
            out = emit_prefix(out, self.prefix).unwrap();
        }
        if let Some(mtu) = self.mtu {
            out = emit_mtu(out, mtu).unwrap();
        }
        let left = out.len();
        message.truncate(200 - left);
        let sum = self.sum(&message).wrapping_add(self.checksum);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    }

    fn sum(&self, message: &[u8]) -> u16 {
        let length = [0, u8::try_from(message.len()).unwrap(), 0, 58];
        let all = [
            &self.source.octets()[..],
            &self.destination.octets(),
            &length,
            message,
        ]
        .concat();
        let sum: u32 = all
            .chunks(2)
            .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
            .sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        !(((sum & 0xffff) + (sum >> 16)) as u16)
    }
}

/// A right server.
pub(super) fn server() -> Server {
    altered(|_| {})
}

/// A right server but for one thing.
fn altered(alter: impl Fn(&mut Reply) + 'static) -> Server {
    Box::new(move |target, mapped, asked, bytes| {
        let mut reply = Reply::right(target, mapped, asked, bytes);
        alter(&mut reply);
        assert_eq!(reply.to, mapped);
        vec![(reply.from, reply.emit())]
    })
}

pub(super) fn echo() -> Server {
    Box::new(|_, _, asked, bytes| vec![(asked, bytes.to_vec())])
}

pub(super) fn name_server() -> Server {
    Box::new(|_, _, asked, bytes| {
        let answer = [&bytes[..2], &[0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
        vec![(asked, answer)]
    })
}

pub(super) fn silent() -> Server {
    Box::new(|_, _, _, _| Vec::new())
}

pub(super) fn primary_only() -> Server {
    Box::new(|target, mapped, asked, bytes| {
        let reply = Reply::right(target, mapped, asked, bytes);
        if reply.cone || *asked.ip() != target.primary {
            return Vec::new();
        }
        vec![(reply.from, reply.emit())]
    })
}

pub(super) fn cone_itself() -> Server {
    altered(|reply| reply.from = reply.asked)
}

pub(super) fn cone_from(from: &'static str) -> Server {
    altered(move |reply| {
        if reply.cone {
            reply.from = from.parse().unwrap();
        }
    })
}

pub(super) fn all_from_primary() -> Server {
    Box::new(|target, mapped, asked, bytes| {
        let reply = Reply::right(target, mapped, asked, bytes);
        vec![(SocketAddrV4::new(target.primary, 3544), reply.emit())]
    })
}

pub(super) fn prefix(prefix: &'static str) -> Server {
    altered(move |reply| reply.prefix = prefix.parse().unwrap())
}

/// The secondary address says this.
pub(super) fn disagreeing(prefix: &'static str) -> Server {
    altered(move |reply| {
        if reply.asked.ip().octets()[3] == 2 {
            reply.prefix = prefix.parse().unwrap();
        }
    })
}

pub(super) fn mapped(mapped: &'static str) -> Server {
    altered(move |reply| reply.origin = Some(mapped.parse().unwrap()))
}

pub(super) fn mapped_with(mapped: &'static str, prefix: &'static str) -> Server {
    altered(move |reply| {
        reply.origin = Some(mapped.parse().unwrap());
        reply.prefix = prefix.parse().unwrap();
    })
}

pub(super) fn destination(destination: &'static str) -> Server {
    altered(move |reply| reply.destination = destination.parse().unwrap())
}

pub(super) fn source(source: &'static str) -> Server {
    altered(move |reply| reply.source = source.parse().unwrap())
}

pub(super) fn prefix_options(count: usize) -> Server {
    altered(move |reply| reply.prefixes = count)
}

pub(super) fn hop_limit(hop_limit: u8) -> Server {
    altered(move |reply| reply.hop_limit = hop_limit)
}

pub(super) fn checksum() -> Server {
    altered(|reply| reply.checksum = 1)
}

pub(super) fn no_origin() -> Server {
    altered(|reply| reply.origin = None)
}

pub(super) fn no_nonce() -> Server {
    altered(|reply| reply.nonce = None)
}

pub(super) fn mtu(mtu: Option<u32>) -> Server {
    altered(move |reply| reply.mtu = mtu)
}

/// A forger is faster, and knows no nonce.
pub(super) fn forged_first() -> Server {
    Box::new(|target, mapped, asked, bytes| {
        let mut reply = Reply::right(target, mapped, asked, bytes);
        let right = (reply.from, reply.emit());
        reply.nonce = Some(*b"guessed!");
        reply.origin = Some("203.0.113.66:6".parse().unwrap());
        vec![(reply.from, reply.emit()), right]
    })
}

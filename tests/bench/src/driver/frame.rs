//! A datagram as it is on the wire: Ethernet, IPv4 (RFC 791) and UDP (RFC 768), all checksums right.

use std::net::SocketAddrV4;

use miredo_server::wire::address::{ALL_ROUTERS, link_local};
use miredo_server::wire::discovery::RouterSolicitation;
use miredo_server::wire::encapsulation::Authentication;

use crate::Fault;
use crate::traffic::{Kind, Target};

/// Length in bytes of all that is before the payload.
pub(crate) const HEADERS: usize = 42;
/// The shortest frame in bytes, without its checksum.
const SHORTEST: usize = 60;

/// The Ethernet addresses of a frame: where it goes, and where it comes from.
pub(crate) type Ethernet = ([u8; 6], [u8; 6]);

/// A frame with this payload.
pub(crate) fn frame(
    (to, from): Ethernet,
    source: SocketAddrV4,
    destination: SocketAddrV4,
    payload: &[u8],
) -> Result<Vec<u8>, Fault> {
    let length = u16::try_from(payload.len() + 8)?;
    let addresses = [source.ip().octets(), destination.ip().octets()].concat();
    let mut datagram = [source.port(), destination.port(), length, 0]
        .map(u16::to_be_bytes)
        .concat();
    datagram.extend(payload);
    let pseudo_header = [&addresses, &[0, 17][..], &length.to_be_bytes()].concat();
    let sum = match checksum(&[&pseudo_header, &datagram]) {
        0 => 0xffff,
        sum => sum,
    };
    put(&mut datagram, 6, sum);
    let mut header = [&[0x45, 0][..], &(length + 20).to_be_bytes()].concat();
    // One piece, and IANA's time to live, less what routers take.
    header.extend([0, 0, 0x40, 0, 57, 17, 0, 0]);
    header.extend(addresses);
    let sum = checksum(&[&header]);
    put(&mut header, 10, sum);
    let mut frame = [&to[..], &from, &[8, 0], &header, &datagram].concat();
    frame.resize(frame.len().max(SHORTEST), 0);
    Ok(frame)
}

/// The first datagram of this kind.
pub(crate) fn of(kind: Kind, client: SocketAddrV4, peer: SocketAddrV4, target: Target) -> Payload {
    let templates = kind.templates(target, client, peer)?;
    let template = templates.into_iter().next().ok_or("no template")?;
    Ok(template.bytes)
}

/// A solicitation without authentication header.
pub(crate) fn plain(client: SocketAddrV4) -> Payload {
    solicitation(client, None)
}

/// A solicitation whose authentication header names a client, and has a value of SHA-1's length.
pub(crate) fn named(client: SocketAddrV4) -> Payload {
    let header = Authentication {
        identifier: b"client",
        value: &[0x5a; 20],
        ..Authentication::default()
    };
    solicitation(client, Some(header))
}

/// What a datagram holds.
pub(crate) type Payload = Result<Vec<u8>, Fault>;

fn solicitation(client: SocketAddrV4, header: Option<Authentication<'_>>) -> Payload {
    let solicitation = RouterSolicitation {
        source: link_local(0, client),
        destination: ALL_ROUTERS,
    };
    let mut bytes = vec![0; 256];
    let rest = match header {
        Some(header) => header.emit(&mut bytes),
        None => Some(&mut bytes[..]),
    };
    let rest = rest.and_then(|rest| solicitation.emit(rest));
    let left = rest.ok_or("a solicitation does not fit")?.len();
    bytes.truncate(256 - left);
    Ok(bytes)
}

/// RFC 1071.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for word in parts.iter().flat_map(|part| part.chunks(2)) {
        let high = word.first().copied().unwrap_or_default();
        let low = word.get(1).copied().unwrap_or_default();
        sum += u32::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn put(octets: &mut [u8], at: usize, value: u16) {
    if let Some(place) = octets.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn checksums_make_up_for_all_else() {
        let place = |last, port| SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, last), port);
        let frame = frame(([1; 6], [2; 6]), place(9, 40_000), place(1, 3544), &[7; 33]).unwrap();
        assert_eq!(checksum(&[&frame[14..34]]), 0);
        let pseudo_header = [&frame[26..34], &[0, 17, 0, 41]].concat();
        assert_eq!(checksum(&[&pseudo_header, &frame[34..75]]), 0);
    }
}

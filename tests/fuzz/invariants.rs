//! What holds of every verdict, whatever came in. Written apart from the code that it judges: addresses are compared with tables of
//! prefixes, and packets are looked for in the input.

#[path = "authentication.rs"]
mod authentication;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use miredo_server::server::{Arrival, Settings};
use miredo_server::verdict::{Kind, Reply, Route, Verdict};
use platform::{REPLY_MAX, Via};

/// Panics if `verdict`, with what is in `out`, breaks a promise. That no more than one packet leaves is the type's promise.
pub(crate) fn check(
    settings: &Settings,
    arrival: &Arrival<'_>,
    verdict: &Verdict,
    out: &[u8; REPLY_MAX],
) {
    let Verdict::Send(reply) = verdict else {
        return;
    };
    assert!(!arrival.truncated);
    assert!(
        reply.len <= reply.kind.max_len(),
        "{reply:?} is longer than its bound"
    );
    let sent = out.get(..reply.len).unwrap_or_default();
    match reply.route {
        Route::Udp { via, to } => {
            assert!(may_be_a_peer(settings, to), "{to} is no peer");
            assert!(via == arrival.via || via == Via::Primary || settings.secondary.is_some());
            check_datagram(settings, reply, arrival, (via, to), sent);
        }
        Route::Native {
            source,
            destination,
            hop_limit,
        } => {
            assert_eq!(reply.kind, Kind::NativeEcho);
            assert!(
                is_global(settings, destination),
                "{destination} is not global"
            );
            assert!(
                settings.policy.allow_private || !settings.own.contains(&destination.into()),
                "{destination} is this host"
            );
            assert!(
                !has_origin(arrival.bytes),
                "forwarded, and forwarded before"
            );
            assert!(hop_limit > 0);
            assert_eq!(
                source.to_bits() >> 96,
                u128::from(settings.policy.prefix.bits())
            );
            assert_eq!(source.to_bits() & MAPPED, mapped_bits(arrival.from));
            assert!(matches!(sent.first(), Some(128 | 129)));
            assert!(contains(arrival.bytes, sent));
        }
    }
}

fn check_datagram(
    settings: &Settings,
    reply: &Reply,
    arrival: &Arrival<'_>,
    (via, to): (Via, SocketAddrV4),
    sent: &[u8],
) {
    match reply.kind {
        Kind::Advertisement => {
            assert_eq!(to, arrival.from);
            assert_eq!(nonce(sent), nonce(arrival.bytes), "nonce");
            authentication::check(settings, arrival.bytes, sent);
        }
        Kind::Bubble | Kind::TeredoEcho => {
            assert_eq!(via, Via::Primary);
            let packet = match sent {
                [0, 0, _, _, _, _, _, _, packet @ ..] => packet,
                packet => packet,
            };
            assert!(contains(arrival.bytes, packet), "not forwarded as it came");
            assert!(
                !has_origin(arrival.bytes),
                "forwarded, and forwarded before"
            );
            assert_ne!(to, arrival.from, "forwarded to where it came from");
            assert!(
                settings.policy.allow_private || !is_own(settings, *to.ip()),
                "{to} is this host"
            );
            check_source(settings, reply.kind, packet);
        }
        Kind::EchoReply => {
            assert_eq!(to, arrival.from);
            assert_eq!(via, arrival.via);
            assert_eq!(sent.get(40), Some(&129));
        }
        Kind::NativeEcho => panic!("a native echo in a datagram"),
    }
}

/// Who may be the source of what is forwarded to a client: a Teredo client, a node of global scope, a relay.
fn check_source(settings: &Settings, kind: Kind, packet: &[u8]) {
    let octets = packet.get(8..24).unwrap_or_default();
    let source = <[u8; 16]>::try_from(octets).map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from);
    let is_client = source.to_bits() >> 96 == u128::from(settings.policy.prefix.bits());
    let is_relay = kind == Kind::Bubble
        && is_in_ipv6(source, Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)
        && source.to_bits()
            != 0xfe80 << 112
                | 0x8000 << 48
                | mapped_bits(SocketAddrV4::new(settings.primary, 3544));
    assert!(
        is_client || is_relay || is_global(settings, source),
        "{source} is nobody"
    );
}

/// Says whether an origin indication is in front of the packet.
fn has_origin(bytes: &[u8]) -> bool {
    let packet = match *bytes {
        [0, 1, identifier, value, ref rest @ ..] => {
            rest.get(usize::from(identifier) + usize::from(value) + 9..)
        }
        _ => Some(bytes),
    };
    packet.is_some_and(|packet| packet.starts_with(&[0, 0]))
}

/// The nonce of an authentication header, or none without one.
fn nonce(bytes: &[u8]) -> Option<&[u8]> {
    match *bytes {
        [0, 1, identifier, value, ref rest @ ..] => {
            let start = usize::from(identifier) + usize::from(value);
            rest.get(start..start + 8)
        }
        _ => None,
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}

/// Port and address of a Teredo address, the last 48 bits.
const MAPPED: u128 = (1 << 48) - 1;

fn mapped_bits(mapped: SocketAddrV4) -> u128 {
    !(u128::from(mapped.port()) << 32 | u128::from(mapped.ip().to_bits())) & MAPPED
}

fn may_be_a_peer(settings: &Settings, peer: SocketAddrV4) -> bool {
    let address = *peer.ip();
    let is_in = |table: &[(Ipv4Addr, u32)]| {
        table
            .iter()
            .any(|(prefix, len)| is_in_ipv4(address, *prefix, *len))
    };
    let is_refused = is_in(&NEVER)
        || (is_in(&PRIVATE) && !settings.policy.allow_private)
        || settings.broadcasts.contains(&address)
        || (is_own(settings, address) && peer.port() == 3544);
    peer.port() != 0 && !is_refused
}

fn is_own(settings: &Settings, address: Ipv4Addr) -> bool {
    address == settings.primary
        || settings.secondary == Some(address)
        || settings.own.contains(&address.into())
}

const NEVER: [(Ipv4Addr, u32); 4] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

const PRIVATE: [(Ipv4Addr, u32); 5] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
];

const GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

const NOT_GLOBAL: [(Ipv6Addr, u32); 2] = [
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x2001, 0x10, 0, 0, 0, 0, 0, 0), 28),
];

const UNIQUE_LOCAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7);

fn is_global(settings: &Settings, address: Ipv6Addr) -> bool {
    let is_in = |(prefix, len): (Ipv6Addr, u32)| is_in_ipv6(address, prefix, len);
    let bits = address.to_bits();
    let inside = Ipv4Addr::from_bits((bits >> 80) as u32);
    let is_6to4_of_nobody = bits >> 112 == 0x2002
        && (NEVER
            .iter()
            .chain(&PRIVATE)
            .any(|(prefix, len)| is_in_ipv4(inside, *prefix, *len))
            || settings.broadcasts.contains(&inside)
            || is_own(settings, inside));
    let is_global = is_in(GLOBAL) && !NOT_GLOBAL.into_iter().any(is_in) && !is_6to4_of_nobody;
    is_global || (is_in(UNIQUE_LOCAL) && settings.policy.allow_private)
}

fn is_in_ipv6(address: Ipv6Addr, prefix: Ipv6Addr, len: u32) -> bool {
    (address.to_bits() ^ prefix.to_bits()) >> (128 - len) == 0
}

fn is_in_ipv4(address: Ipv4Addr, prefix: Ipv4Addr, len: u32) -> bool {
    (address.to_bits() ^ prefix.to_bits()) >> (32 - len) == 0
}

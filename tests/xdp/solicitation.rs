//! Router Solicitations, most of them valid: what the program answers.

use std::net::{Ipv6Addr, SocketAddrV4};

use miredo_server::wire::address::{
    ALL_ROUTERS, ServicePrefix, TeredoAddress, link_local, server_link_local,
};
use miredo_server::wire::encapsulation::{Authentication, OriginIndication};
use miredo_server::wire::ipv6::{Header, ICMP6};
use pnet_packet::icmpv6::{self, Icmpv6Packet};

use crate::Chance;
use crate::frame::PRIMARY;

/// A solicitation by chance, of a client that is seen at `from`.
pub(crate) fn solicitation(from: SocketAddrV4, chance: &mut Chance) -> Vec<u8> {
    let flags = u16::try_from(chance.below(1 << 16)).unwrap();
    let source = match chance.below(3) {
        0 => TeredoAddress {
            prefix: ServicePrefix::GLOBAL,
            server: PRIMARY,
            flags,
            mapped: from,
        }
        .to_ipv6(),
        _ => link_local(flags, from),
    };
    let destination = match chance.below(4) {
        0 => server_link_local(PRIMARY),
        _ => ALL_ROUTERS,
    };
    let mut bytes = front(chance);
    bytes.extend(packet(source, destination, &options(chance)));
    // Whatever follows is ignored.
    bytes.extend(vec![0xa5; [0, 0, 0, 1, 7][chance.below(5)]]);
    bytes
}

/// What is before the packet.
fn front(chance: &mut Chance) -> Vec<u8> {
    let mut bytes = Vec::new();
    if chance.below(2) == 0 {
        let mut nonce = [0; 8];
        nonce.fill_with(|| chance.octet());
        let named = chance.below(8);
        let header = Authentication {
            identifier: if named == 0 { b"client" } else { b"" },
            value: if named == 1 { &[7; 20] } else { b"" },
            nonce,
            confirmation: chance.octet(),
        };
        let mut out = [0; 64];
        let left = header.emit(&mut out).unwrap().len();
        bytes.extend(&out[..out.len() - left]);
    }
    if chance.below(8) == 0 {
        let mut out = [0; OriginIndication::LEN];
        let _ = OriginIndication("203.0.113.77:5".parse().unwrap()).emit(&mut out);
        bytes.extend(out);
    }
    bytes
}

/// Options, some of them empty, or longer than the packet, or too many.
fn options(chance: &mut Chance) -> Vec<u8> {
    let mut options = Vec::new();
    let count = [0, 0, 0, 1, 2, 8, 9, 15][chance.below(8)];
    for _ in 0..count {
        let units = [1, 1, 1, 1, 1, 2, 2, 3][chance.below(8)];
        let mut option = vec![chance.octet(); units * 8];
        option[1] = match chance.below(40) {
            0 => 0,
            1 => chance.octet(),
            _ => u8::try_from(units).unwrap(),
        };
        options.extend(option);
    }
    // A piece of one more.
    options.extend(vec![1; [0, 0, 0, 0, 0, 0, 0, 1, 2, 5][chance.below(10)]]);
    options
}

/// A solicitation with these options, its checksum right.
pub(crate) fn packet(source: Ipv6Addr, destination: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let mut message = [&[133, 0, 0, 0, 1, 2, 3, 4], options].concat();
    let sum = icmpv6::checksum(&Icmpv6Packet::new(&message).unwrap(), &source, &destination);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let header = Header {
        next_header: ICMP6,
        payload_len: u16::try_from(message.len()).unwrap(),
        hop_limit: 255,
        source,
        destination,
    };
    let mut bytes = vec![0; 40];
    let _ = header.emit(&mut bytes);
    bytes.extend(message);
    bytes
}

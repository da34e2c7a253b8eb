//! A datagram in Ethernet, IPv4 and UDP, written and read, apart from the program's own code.

use std::net::{Ipv4Addr, SocketAddrV4};

use platform::{DATAGRAM_MAX, Via};
use pnet_packet::ipv4::{self, Ipv4Packet};
use pnet_packet::udp::{self, UdpPacket};

use crate::Chance;

pub(crate) const PRIMARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const SECONDARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The server's interface.
pub(crate) const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The router before it.
pub(crate) const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const ETHERNET: usize = 14;
const HEADERS: usize = ETHERNET + 20 + 8;

/// A frame as it arrives.
#[derive(Clone, Debug)]
pub(crate) struct Frame(pub(crate) Vec<u8>);

/// What a frame holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held<'a> {
    pub(crate) source: SocketAddrV4,
    pub(crate) destination: SocketAddrV4,
    pub(crate) bytes: &'a [u8],
}

impl Frame {
    /// A frame from the router that holds a datagram for the server, whose checksums are right.
    pub(crate) fn new(from: SocketAddrV4, via: Via, bytes: &[u8]) -> Self {
        let to = match via {
            Via::Primary => PRIMARY,
            Via::Secondary => SECONDARY,
        };
        let length = u16::try_from(bytes.len() + 8).unwrap();
        let mut frame = [&OURS[..], &ROUTER, &[8, 0, 0x45, 0]].concat();
        frame.extend((length + 20).to_be_bytes());
        frame.extend([0x12, 0x34, 0x40, 0, 57, 17, 0, 0]);
        frame.extend(from.ip().octets());
        frame.extend(to.octets());
        frame.extend(from.port().to_be_bytes());
        frame.extend(3544_u16.to_be_bytes());
        frame.extend(length.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(bytes);
        // As Ethernet pads.
        frame.resize(frame.len().max(60), 0);
        let mut frame = Self(frame);
        frame.correct();
        frame
    }

    /// Makes its checksums right.
    pub(crate) fn correct(&mut self) {
        let Self(frame) = self;
        let header = Ipv4Packet::new(&frame[ETHERNET..]).unwrap();
        let (source, destination) = (header.get_source(), header.get_destination());
        let sum = ipv4::checksum(&header);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        let length = usize::from(u16::from_be_bytes([frame[38], frame[39]]));
        let Some(datagram) = frame.get(34..34 + length).filter(|_| length >= 8) else {
            return;
        };
        let sum = udp::ipv4_checksum(&UdpPacket::new(datagram).unwrap(), &source, &destination);
        let sum = if sum == 0 { 0xffff } else { sum };
        frame[40..42].copy_from_slice(&sum.to_be_bytes());
    }

    /// Changes something of it.
    pub(crate) fn vary(&mut self, chance: &mut Chance) {
        let Self(frame) = self;
        let octet = chance.octet();
        match chance.below(16) {
            // Somewhere in the payload, the first octets above all.
            0..=5 if frame.len() > HEADERS => {
                let most = (frame.len() - HEADERS).min(80);
                frame[HEADERS + chance.below(most)] = octet;
            }
            6 | 7 if frame.len() > HEADERS => {
                let at = HEADERS + chance.below((frame.len() - HEADERS).min(64));
                frame[at] ^= 1 << (octet % 8);
            }
            // The source, or what leads to it.
            8 => frame[26 + chance.below(4)] = octet,
            9 => frame[34 + chance.below(2)] = if octet < 128 { 0 } else { octet },
            // A shorter or longer datagram.
            10..=12 => {
                let length = 8 + chance.below(frame.len() - HEADERS + 3);
                let length = u16::try_from(length).unwrap();
                frame[38..40].copy_from_slice(&length.to_be_bytes());
                frame[16..18].copy_from_slice(&(length + 20).to_be_bytes());
            }
            // No checksum.
            13 => {
                self.correct();
                let Self(frame) = self;
                frame[40..42].fill(0);
                return;
            }
            // Anything in the headers, perhaps with the checksums as they were.
            14 => frame[chance.below(HEADERS)] = octet,
            _ => {
                frame[chance.below(HEADERS)] ^= 1 << (octet % 8);
                return;
            }
        }
        self.correct();
    }

    /// What it holds, if it is from a neighbour to the interface of this address, whole, without options, and every checksum
    /// right, or absent where UDP allows it.
    pub(crate) fn held(&self, interface: [u8; 6]) -> Option<Held<'_>> {
        let Self(frame) = self;
        let is_group = frame[6] & 1 != 0;
        if frame[..6] != interface || is_group || frame[12..14] != [8, 0] {
            return None;
        }
        let header = Ipv4Packet::new(frame.get(ETHERNET..)?)?;
        let is_plain = header.get_version() == 4
            && header.get_header_length() == 5
            && header.get_flags() & 1 == 0
            && header.get_fragment_offset() == 0
            && header.get_next_level_protocol().0 == 17
            && ipv4::checksum(&header) == header.get_checksum();
        let total = usize::from(header.get_total_length());
        let packet = frame.get(ETHERNET..ETHERNET + total)?;
        if !is_plain {
            return None;
        }
        let datagram = UdpPacket::new(packet.get(20..)?)?;
        let (source, destination) = (header.get_source(), header.get_destination());
        let sum = udp::ipv4_checksum(&datagram, &source, &destination);
        let sums = [sum, if sum == 0 { 0xffff } else { sum }];
        let is_right = datagram.get_checksum() == 0 || sums.contains(&datagram.get_checksum());
        if usize::from(datagram.get_length()) != total - 20 || !is_right {
            return None;
        }
        Some(Held {
            source: SocketAddrV4::new(source, datagram.get_source()),
            destination: SocketAddrV4::new(destination, datagram.get_destination()),
            bytes: packet
                .get(28..)
                .filter(|bytes| bytes.len() <= DATAGRAM_MAX)?,
        })
    }
}

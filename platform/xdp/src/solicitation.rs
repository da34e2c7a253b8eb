//! Router Solicitations that are valid (RFC 4380 section 5.3.1, RFC 4861 section 6.1.1).

use aya_ebpf::programs::XdpContext;

use crate::datagram::{Datagram, ICMP6, IPV6};
use crate::frame::Frame;
use crate::layout::{ANSWERS, ANSWERS_CONE};
use crate::packet::{folded, octets, sum, u16_at, u32_at, words};
use crate::setting;

/// Length in bytes of a solicitation without options.
const SOLICITATION: usize = 8;
/// The longest that is looked at, in bytes. Clients send none with options.
const LONGEST: usize = 128;
/// Options that are looked at.
const OPTIONS: usize = 8;
/// ICMPv6 type (RFC 4861 section 4.1).
const TYPE: u8 = 133;
/// The hop limit of what no router forwarded.
const HOP_LIMIT: u8 = 255;
/// ff02::2.
const ALL_ROUTERS: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// A solicitation that the program may answer.
pub struct Solicitation {
    /// Its source.
    pub client: [u8; 16],
    /// The nonce to send back.
    pub nonce: Option<[u8; 8]>,
    /// It is answered from the other address.
    pub cone: bool,
}

impl Solicitation {
    /// `None` if it is something else, not valid, or not for the program to answer.
    #[inline(always)]
    pub fn parse(context: &XdpContext, frame: &Frame, datagram: &Datagram) -> Option<Self> {
        let flags = setting!(flags);
        if flags & ANSWERS == 0
            || datagram.named
            || datagram.payload < SOLICITATION
            || datagram.payload > LONGEST
        {
            return None;
        }
        let packet: &[u8; IPV6 + SOLICITATION] = octets(context, datagram.packet)?;
        if packet[6] != ICMP6 || packet[7] != HOP_LIMIT || packet[40] != TYPE || packet[41] != 0 {
            return None;
        }
        let [client, destination] = [array(packet, 8), array(packet, 24)];
        if !may_ask(frame, packet, destination) {
            return None;
        }
        let cone = client[8] & 0x80 != 0;
        if cone && flags & ANSWERS_CONE == 0 {
            return None;
        }
        let message = datagram.packet + IPV6;
        options(context, message, datagram.payload)?;
        let sum = sum::<{ LONGEST + 32 }>(context, message, datagram.payload)?;
        let addresses: [u8; 32] = array(packet, 8);
        let last = (datagram.payload as u16).to_be() as u64 + u16::from(ICMP6).to_be() as u64;
        if folded(sum + words(&addresses) + last) != 0xffff {
            return None;
        }
        // Confirmation and nonce stand before the packet, or before an origin indication that is.
        let nonce = match datagram.authenticated {
            true => Some(*octets(context, crate::frame::PAYLOAD + 4)?),
            false => None,
        };
        Some(Self {
            client,
            nonce,
            cone,
        })
    }
}

/// Rules 4 and 5: from a link-local address to all routers, or from the Teredo address of whoever sent it, to all routers or to the
/// server.
#[inline(always)]
fn may_ask(frame: &Frame, packet: &[u8; IPV6 + SOLICITATION], destination: [u8; 16]) -> bool {
    let to_all = destination == ALL_ROUTERS;
    if u32_at(packet, 8) == setting!(prefix) {
        let is_its_own = u16_at(packet, 18) == !frame.port && u32_at(packet, 20) == !frame.source;
        return is_its_own && (to_all || destination == setting!(link_local));
    }
    let is_link_local = packet[8] == 0xfe && packet[9] & 0xc0 == 0x80;
    is_link_local && to_all
}

/// Looks whether the options of the message from `at` on are none of them empty, and end where it ends.
#[inline(always)]
fn options(context: &XdpContext, at: usize, length: usize) -> Option<()> {
    let (mut at, mut left) = (at + SOLICITATION, length - SOLICITATION);
    let mut count = 0;
    while left != 0 {
        if count == OPTIONS {
            return None;
        }
        let [_, units] = *octets(context, at)?;
        let option = 8 * usize::from(units);
        if units == 0 || option > left {
            return None;
        }
        (at, left, count) = (at + option, left - option, count + 1);
    }
    Some(())
}

/// Octets of a packet.
#[inline(always)]
fn array<const N: usize, const M: usize>(octets: &[u8; N], at: usize) -> [u8; M] {
    let mut array = [0; M];
    let mut index = 0;
    while index < M {
        array[index] = octets[at + index];
        index += 1;
    }
    array
}

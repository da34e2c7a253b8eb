//! The frame that answers a solicitation (RFC 4380 section 5.3.2).

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::{bpf_get_prandom_u32, bpf_xdp_adjust_head};
use aya_ebpf::programs::XdpContext;

use crate::datagram::{AUTHENTICATION, ORIGIN};
use crate::frame::{Frame, PAYLOAD, PORT, pseudo_header};
use crate::layout::ADVERTISEMENT_LEN;
use crate::packet::{folded, frame_length, octets, octets_mut, put, words};
use crate::setting;
use crate::solicitation::Solicitation;

/// Length in bytes of the two Ethernet addresses.
const ETHERNET: usize = 12;
/// Length in bytes of the answer to a solicitation without authentication header.
const PLAIN: usize = PAYLOAD + ORIGIN + ADVERTISEMENT_LEN;
/// Time to live, the value that IANA recommends.
const TTL: u8 = 64;

/// Turns the frame into the answer. `None` if there is no room; the frame is as it was then.
#[inline(always)]
pub fn write(context: &mut XdpContext, frame: &Frame, solicitation: &Solicitation) -> Option<()> {
    let authentication = match solicitation.nonce {
        Some(_) => AUTHENTICATION,
        None => 0,
    };
    let length = PLAIN + authentication;
    let ethernet: &[u8; ETHERNET] = octets(context, 0)?;
    let mut neighbour = [0; 6];
    neighbour.copy_from_slice(&ethernet[6..]);
    // All of it is written anew, so it may grow at its head, where drivers have to leave room; behind its tail some have none.
    let delta = frame_length(context) as i64 - length as i64;
    // SAFETY: the context is the kernel's own. All pointers into the frame are taken anew after this.
    if unsafe { bpf_xdp_adjust_head(context.as_ptr().cast(), delta as i32) } != 0 {
        return None;
    }
    let rest = folded(origin_sum(frame) + u64::from(setting!(advertisement_sum)));
    let payload_sum = match solicitation.nonce {
        Some(nonce) => {
            let authentication = u64::from(u16::from_ne_bytes([0, 1])) + words(&nonce);
            let header: &mut [u8; AUTHENTICATION] = octets_mut(context, PAYLOAD)?;
            put(header, 0, [0, 1, 0, 0]);
            put(header, 4, nonce);
            put(header, 12, [0]);
            // What follows begins with the second octet of a word.
            authentication + u64::from(rest.swap_bytes())
        }
        None => u64::from(rest),
    };
    write_headers(
        context,
        frame,
        neighbour,
        solicitation.cone,
        length - PAYLOAD,
        payload_sum,
    )?;
    let at = PAYLOAD + authentication;
    write_packet(octets_mut(context, at)?, frame, solicitation);
    Some(())
}

/// What is before the payload, of which the checksum needs the sum.
#[inline(always)]
fn write_headers(
    context: &mut XdpContext,
    frame: &Frame,
    neighbour: [u8; 6],
    cone: bool,
    payload: usize,
    payload_sum: u64,
) -> Option<()> {
    let headers: &mut [u8; PAYLOAD] = octets_mut(context, 0)?;
    let from = match frame.to_primary != cone {
        true => setting!(primary),
        false => setting!(secondary),
    };
    let length = payload + 8;
    // SAFETY: the helper takes nothing and asks for nothing.
    let identification = unsafe { bpf_get_prandom_u32() } as u16;
    put(headers, 0, neighbour);
    put(headers, 6, setting!(ethernet));
    put(headers, 12, [8, 0, 0x45, 0]);
    put(headers, 16, (length as u16 + 20).to_be_bytes());
    // Without the DF bit, as the server sends. So each needs a number of its own (RFC 6864 section 4).
    put(headers, 18, identification.to_ne_bytes());
    put(headers, 20, [0, 0, TTL, 17, 0, 0]);
    put(headers, 26, from.to_ne_bytes());
    put(headers, 30, frame.source.to_ne_bytes());
    let mut header = [0; 20];
    header.copy_from_slice(&headers[14..34]);
    put(headers, 24, (!folded(words(&header))).to_ne_bytes());
    put(headers, 34, PORT.to_ne_bytes());
    put(headers, 36, frame.port.to_ne_bytes());
    put(headers, 38, (length as u16).to_be_bytes());
    let ports = u64::from(PORT) + u64::from(frame.port) + u64::from((length as u16).to_be());
    let sum = payload_sum + ports + pseudo_header(from, frame.source, length);
    // No checksum is written as zero: that says that there is none (RFC 768).
    let checksum = match !folded(sum) {
        0 => 0xffff,
        checksum => checksum,
    };
    put(headers, 40, checksum.to_ne_bytes());
    Some(())
}

/// Origin indication and advertisement. Its checksum makes up for its destination, so their sum is always the same.
#[inline(always)]
fn write_packet(
    out: &mut [u8; ORIGIN + ADVERTISEMENT_LEN],
    frame: &Frame,
    solicitation: &Solicitation,
) {
    put(out, 0, [0, 0]);
    put(out, 2, (!frame.port).to_ne_bytes());
    put(out, 4, (!frame.source).to_ne_bytes());
    let mut index = 0;
    while index < ADVERTISEMENT_LEN / 8 {
        put(
            out,
            ORIGIN + 8 * index,
            setting!(advertisement[index]).to_ne_bytes(),
        );
        index += 1;
    }
    put(out, ORIGIN + 24, solicitation.client);
    let before = u16::from_ne_bytes([out[ORIGIN + 42], out[ORIGIN + 43]]);
    let sum = u64::from(!before) + words(&solicitation.client);
    put(out, ORIGIN + 42, (!folded(sum)).to_ne_bytes());
}

/// The sum of the origin indication.
#[inline(always)]
fn origin_sum(frame: &Frame) -> u64 {
    u64::from(!frame.port) + u64::from(!frame.source)
}

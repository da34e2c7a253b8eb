//! The clients of the bench, and what the program of the server is measured by. Not part of the server.
//!
//! | program | what it is for |
//! | --- | --- |
//! | `empty` | lets everything pass |
//! | `generate` | writes questions, at a rate, in live frames of `BPF_PROG_TEST_RUN` |
//! | `sink` | counts answers and drops them |
//! | `order` | what the loader knows too |
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_TX};
use aya_ebpf::helpers::generated::bpf_xdp_store_bytes;
use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_xdp_adjust_tail};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::{Array, PerCpuArray};
use aya_ebpf::programs::XdpContext;

mod order;
#[path = "../packet.rs"]
#[expect(dead_code, reason = "the server's program uses the rest")]
mod packet;

use order::{BEHIND, FIRST_EPHEMERAL, FRAME_MAX, Order};
use packet::{folded, octets, octets_mut, put, u16_at};

/// Ethernet, IPv4 without options, UDP.
const HEADERS: usize = 42;
/// The server's port (RFC 4380 section 2.7).
const TEREDO: u16 = 3544_u16.to_be();
/// How often to look at the clock for one frame: some 50 microseconds.
const PATIENCE: u32 = 2048;

#[map]
static ORDER: Array<Order> = Array::with_max_entries(1, 0);
/// Answers, and their length in bytes.
#[map]
static ANSWERS: PerCpuArray<[u64; 2]> = PerCpuArray::with_max_entries(1, 0);

/// Lets everything pass.
#[xdp]
pub fn empty(_: XdpContext) -> u32 {
    XDP_PASS
}

/// Sends a frame when it is due, and nothing before.
#[xdp]
pub fn generate(mut context: XdpContext) -> u32 {
    match write(&mut context) {
        Some(()) => XDP_TX,
        None => XDP_DROP,
    }
}

#[inline(always)]
fn write(context: &mut XdpContext) -> Option<()> {
    let order = ORDER.get_ptr_mut(0)?;
    // SAFETY: the element of the map. One processor alone runs this program, and the loader writes before it does.
    let order = unsafe { &mut *order };
    let now = wait(order.due)?;
    let from = order.due.max(now.saturating_sub(order.slack));
    order.due = from + order.interval;
    let number = order.sent;
    if number == 0 {
        order.begin = now;
    }
    order.sent = number + 1;
    // SAFETY: the context is the kernel's own. All pointers into the frame are taken after this.
    if unsafe { bpf_xdp_adjust_tail(context.as_ptr().cast(), -(BEHIND as i32)) } != 0 {
        return None;
    }
    let length = order.length as usize;
    if !(HEADERS..=FRAME_MAX).contains(&length) {
        return None;
    }
    let frame = order.frame.as_mut_ptr().cast();
    // SAFETY: so many octets are in the order, which is not written to.
    if unsafe { bpf_xdp_store_bytes(context.as_ptr().cast(), 0, frame, length as u32) } != 0 {
        return None;
    }
    // Knuth, The Art of Computer Programming, section 6.4: by an odd number, each address comes once before one comes again.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let source = (order.source | (mixed as u32 & order.source_mask)).to_be();
    let port = ((order.port | ((mixed >> 40) as u32 & order.port_mask)) as u16).to_be();
    let headers: &mut [u8; HEADERS] = octets_mut(context, 0)?;
    put(headers, 26, source.to_ne_bytes());
    put(headers, 34, port.to_ne_bytes());
    let checksum = !folded(u64::from(order.header_sum) + u64::from(source));
    put(headers, 24, checksum.to_ne_bytes());
    let sum = u64::from(order.datagram_sum) + u64::from(source) + u64::from(port);
    let checksum = match !folded(sum) {
        0 => 0xffff,
        checksum => checksum,
    };
    put(headers, 40, checksum.to_ne_bytes());
    Some(())
}

/// Waits until it is time, and says what time it is then; `None` if that takes long.
#[inline(always)]
fn wait(due: u64) -> Option<u64> {
    let mut looked = 0;
    while looked < PATIENCE {
        // SAFETY: the helper takes nothing and asks for nothing.
        let now = unsafe { bpf_ktime_get_ns() };
        if now >= due {
            return Some(now);
        }
        looked += 1;
    }
    None
}

/// Counts what a server sends to no socket, and drops it.
#[xdp]
pub fn sink(context: XdpContext) -> u32 {
    match is_answer(&context) {
        Some(length) => {
            count(length);
            XDP_DROP
        }
        None => XDP_PASS,
    }
}

/// The length of an answer that no socket waits for.
#[inline(always)]
fn is_answer(context: &XdpContext) -> Option<u64> {
    let headers: &[u8; HEADERS] = octets(context, 0)?;
    let is_udp = headers[12..15] == [8, 0, 0x45] && headers[23] == 17;
    let is_answer = is_udp
        && u16_at(headers, 34) == TEREDO
        && u16_at(headers, 36).swap_bytes() < FIRST_EPHEMERAL;
    is_answer.then_some(u64::from(u16_at(headers, 38).swap_bytes()) - 8)
}

#[inline(always)]
fn count(length: u64) {
    let Some(answers) = ANSWERS.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: this processor's element; no second program runs on it before this one ends.
    let [count, octets] = unsafe { &mut *answers };
    *count += 1;
    *octets += length;
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program that could come here: it has no end.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"BSD-2-Clause\0";

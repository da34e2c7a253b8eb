//! An XDP program that does for a Teredo server (RFC 4380) what can be done before a datagram becomes a packet of the host.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `frame` | Ethernet, IPv4 and UDP around a datagram: is it one for the server, and whole |
//! | `source` | rule 3 of RFC 4380 section 5.3.1: who may ask |
//! | `datagram` | rules 1 and 2: what can never be Teredo |
//! | `solicitation` | which Router Solicitations are valid |
//! | `limit` | what one client is sent |
//! | `answer` | the frame that answers |
//! | `packet` | reading and writing a frame, within its bounds |
//! | `layout`, `reason` | what the loader knows too |
//!
//! It drops what the server would drop by these rules, answers what the server would answer in the same way, counts both, and
//! lets everything else pass. Where it cannot be sure, it lets pass.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_TX};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::{Array, HashMap, PerCpuArray};
use aya_ebpf::programs::XdpContext;

mod answer;
mod datagram;
mod frame;
mod layout;
mod limit;
mod packet;
mod reason;
mod solicitation;
mod source;

use layout::{Account, Settings};
use reason::Drop;

// Each reason has its counter.
const _: () = assert!(layout::COUNTERS == layout::DROPPED + Drop::ALL.len());

/// What the loader says, in place of these zeroes.
#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings::NONE;

#[map]
static HOST: HashMap<u32, u32> = HashMap::with_max_entries(layout::HOST_ADDRESSES, 0);
#[map]
static COUNTERS: PerCpuArray<[u64; layout::COUNTERS]> = PerCpuArray::with_max_entries(1, 0);
#[map]
static ACCOUNTS: PerCpuArray<[Account; layout::WAYS]> =
    PerCpuArray::with_max_entries(layout::SETS, 0);
#[map]
static CLOCK: Array<u64> = Array::with_max_entries(1, 0);

/// What becomes of a frame that the program does not let pass.
enum Verdict {
    Answer,
    Drop(Drop),
}

/// The server's part of a host: decides about one frame.
#[xdp]
pub fn teredo(mut context: XdpContext) -> u32 {
    let Some(frame) = frame::Frame::parse(&context) else {
        return XDP_PASS;
    };
    let Some(verdict) = decide(&mut context, &frame) else {
        return XDP_PASS;
    };
    let entry = match frame.to_primary {
        true => layout::RECEIVED_PRIMARY,
        false => layout::RECEIVED_SECONDARY,
    };
    let (outcome, action) = match verdict {
        Verdict::Answer => (layout::ADVERTISED, XDP_TX),
        Verdict::Drop(reason) => (layout::DROPPED + reason as usize, XDP_DROP),
    };
    count([entry, outcome]);
    action
}

/// The server's rules in the server's order, as far as they go here; `None` lets the frame pass.
#[inline(always)]
fn decide(context: &mut XdpContext, frame: &frame::Frame) -> Option<Verdict> {
    if let Err(reason) = source::check(frame)? {
        return Some(Verdict::Drop(reason));
    }
    let datagram = match datagram::Datagram::parse(context, frame)? {
        Ok(datagram) => datagram,
        Err(reason) => return Some(Verdict::Drop(reason)),
    };
    let solicitation = solicitation::Solicitation::parse(context, frame, &datagram)?;
    let account = match limit::account(frame.source) {
        limit::Admission::Over => return Some(Verdict::Drop(Drop::RateLimited)),
        limit::Admission::Within(account) => account,
        limit::Admission::Unknown => return None,
    };
    answer::write(context, frame, &solicitation)?;
    if let Some(account) = account {
        limit::charge(account);
    }
    Some(Verdict::Answer)
}

/// Counts one in each of these.
#[inline(always)]
fn count(numbers: [usize; 2]) {
    let Some(counters) = COUNTERS.get_ptr_mut(0) else {
        return;
    };
    let counters: *mut u64 = counters.cast();
    for number in numbers {
        // SAFETY: one of the counters of this processor.
        let counter = unsafe { counters.add(number) };
        // SAFETY: no other processor writes it, and no second program runs on this one before this one ends.
        unsafe { *counter = (*counter).wrapping_add(1) };
    }
}

/// The settings, read as the loader wrote them, and not as the compiler sees them here.
macro_rules! setting {
    ($field:ident $([$index:expr])?) => {
        // SAFETY: a field of a static that is initialized and aligned.
        unsafe { core::ptr::read_volatile(&raw const crate::SETTINGS.$field $([$index])?) }
    };
}
use setting;

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program that could come here: it has no end.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"BSD-2-Clause\0";

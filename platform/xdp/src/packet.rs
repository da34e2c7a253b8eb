//! Octets of a frame, within its bounds.

use core::arch::asm;

use aya_ebpf::programs::XdpContext;

/// `N` octets from `offset` on; `None` if the frame ends before. The verifier wants this comparison, in this form, before each
/// access.
#[inline(always)]
pub fn octets<const N: usize>(context: &XdpContext, offset: usize) -> Option<&[u8; N]> {
    let start = start::<N>(context, offset)?;
    // SAFETY: inside of the frame, which lives as long as the context, and which is written to through no other pointer while
    // this one is in use: `octets_mut` wants the context alone.
    Some(unsafe { &*(start as *const [u8; N]) })
}

/// The same, to write.
#[inline(always)]
pub fn octets_mut<const N: usize>(context: &mut XdpContext, offset: usize) -> Option<&mut [u8; N]> {
    let start = start::<N>(context, offset)?;
    // SAFETY: inside of the frame, and no other pointer into it is in use, since the context is borrowed alone.
    Some(unsafe { &mut *(start as *mut [u8; N]) })
}

/// Where `N` octets begin that are inside of the frame.
#[inline(always)]
fn start<const N: usize>(context: &XdpContext, offset: usize) -> Option<usize> {
    let start = context.data() + offset;
    let mut behind = start + N;
    // The compiler would compare in other forms, such as `start > end - N`, which the verifier does not understand.
    // SAFETY: no instruction.
    unsafe { asm!("/* {0} */", inout(reg) behind, options(pure, nomem, nostack)) };
    (behind <= context.data_end()).then_some(start)
}

/// The length of the frame in bytes, with all that follows its datagram.
#[inline(always)]
pub fn frame_length(context: &XdpContext) -> usize {
    let mut length = context.data_end() - context.data();
    // The compiler would subtract in 32 bits, which the verifier does not allow of pointers.
    // SAFETY: no instruction.
    unsafe { asm!("/* {0} */", inout(reg) length, options(pure, nomem, nostack)) };
    length
}

/// Two octets from `at` on, as they are. A constant `at` that is too large does not compile, as an array's does not.
#[inline(always)]
pub fn u16_at<const N: usize>(octets: &[u8; N], at: usize) -> u16 {
    u16::from_ne_bytes([octets[at], octets[at + 1]])
}

/// Four octets.
#[inline(always)]
pub fn u32_at<const N: usize>(octets: &[u8; N], at: usize) -> u32 {
    u32::from_ne_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

/// Writes octets from `at` on.
#[inline(always)]
pub fn put<const N: usize, const M: usize>(octets: &mut [u8; N], at: usize, value: [u8; M]) {
    let mut index = 0;
    while index < M {
        octets[at + index] = value[index];
        index += 1;
    }
}

/// Octets that are summed at a time.
const CHUNK: usize = 32;

/// The sum of `length` octets from `offset` on in words of 32 bits, for an Internet checksum (RFC 1071), the last word filled with
/// zeroes. `None` if the frame is shorter, or `length` is `MAX` or more.
#[inline(always)]
pub fn sum<const MAX: usize>(context: &XdpContext, offset: usize, length: usize) -> Option<u64> {
    let (mut at, mut left, mut sum) = (offset, length, 0);
    let mut chunks = 0;
    while left >= CHUNK {
        if chunks == MAX / CHUNK {
            return None;
        }
        sum += words::<CHUNK>(octets(context, at)?);
        (at, left, chunks) = (at + CHUNK, left - CHUNK, chunks + 1);
    }
    if left & 16 != 0 {
        sum += words::<16>(octets(context, at)?);
        at += 16;
    }
    if left & 8 != 0 {
        sum += words::<8>(octets(context, at)?);
        at += 8;
    }
    if left & 4 != 0 {
        sum += words::<4>(octets(context, at)?);
        at += 4;
    }
    if left & 2 != 0 {
        sum += u64::from(u16_at::<2>(octets(context, at)?, 0));
        at += 2;
    }
    if left & 1 != 0 {
        let [last] = *octets::<1>(context, at)?;
        sum += u64::from(u16::from_ne_bytes([last, 0]));
    }
    Some(sum)
}

/// The sum of octets in words of 32 bits.
#[inline(always)]
pub fn words<const N: usize>(octets: &[u8; N]) -> u64 {
    let (mut at, mut sum) = (0, 0);
    while at < N {
        sum += u64::from(u32_at(octets, at));
        at += 4;
    }
    sum
}

/// A sum of words in 16 bits, in one's complement.
#[inline(always)]
pub fn folded(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

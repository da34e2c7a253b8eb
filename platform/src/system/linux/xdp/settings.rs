//! What the program is told: the rules in the form of its memory.

use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;

use aya::Pod;

use super::Clock;
use super::layout::{
    self, ADVERTISEMENT_LEN, ALLOWS_PRIVATE, ANSWERS, ANSWERS_CONE, Settings, TEST_CLOCK,
};
use crate::accelerator::Rules;

/// The settings, to be copied into the program.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Told(pub(super) Settings);

// SAFETY: integers and arrays of them; the fields fill the struct, which has no padding of the compiler's.
unsafe impl Pod for Told {}

/// Where the source is in an IPv6 packet (RFC 8200 section 3).
const SOURCE: std::ops::Range<usize> = 8..24;

/// The rules for an interface with this Ethernet address.
pub(super) fn settings(rules: &Rules, ethernet: [u8; 6], clock: Clock) -> Settings {
    let flag = |is: bool, flag: u32| if is { flag } else { 0 };
    let advertisement = rules.advertisement.unwrap_or([0; ADVERTISEMENT_LEN]);
    let (words, _) = advertisement.as_chunks::<8>();
    let mut eights = [0; ADVERTISEMENT_LEN / 8];
    for (eight, octets) in eights.iter_mut().zip(words) {
        *eight = u64::from_ne_bytes(*octets);
    }
    let mut link_local = [0; 16];
    link_local.copy_from_slice(advertisement.get(SOURCE).unwrap_or(&[0; 16]));
    Settings {
        interval: rules.limit.map_or(0, |limit| limit.interval),
        tolerance: rules.limit.map_or(0, |limit| limit.tolerance),
        key: [0, 1].map(|number| RandomState::new().hash_one(number)),
        advertisement: eights,
        advertisement_sum: sum(&advertisement),
        link_local,
        primary: on_the_wire(rules.primary),
        secondary: rules.secondary.map_or(0, on_the_wire),
        prefix: rules.prefix.to_be(),
        flags: flag(rules.advertisement.is_some(), ANSWERS)
            | flag(rules.cone && rules.secondary.is_some(), ANSWERS_CONE)
            | flag(rules.allow_private, ALLOWS_PRIVATE)
            | flag(clock == Clock::Test, TEST_CLOCK),
        ethernet,
        padding: [0; 6],
    }
}

/// The addresses of this host and of its networks, with what they are.
pub(super) fn host(rules: &Rules) -> impl Iterator<Item = (u32, u32)> {
    let broadcasts = rules.broadcasts.iter();
    let broadcasts = broadcasts.map(|address| (address, layout::BROADCAST));
    let own = rules.own.iter().map(|address| {
        let is_broadcast = rules.broadcasts.contains(address);
        let broadcast = if is_broadcast { layout::BROADCAST } else { 0 };
        (address, layout::OWN | broadcast)
    });
    // What is both comes last, and stays.
    broadcasts
        .chain(own)
        .map(|(address, what)| (on_the_wire(*address), what))
}

/// An address as the program reads it.
fn on_the_wire(address: Ipv4Addr) -> u32 {
    u32::from_ne_bytes(address.octets())
}

/// The sum of 16-bit words in one's complement (RFC 1071), in 16 bits, as the program sums.
fn sum(octets: &[u8]) -> u32 {
    let (words, _) = octets.as_chunks::<2>();
    let mut sum = 0_u32;
    for word in words {
        sum = sum.saturating_add(u16::from_ne_bytes(*word).into());
    }
    while sum > 0xffff {
        sum = (sum & 0xffff).saturating_add(sum >> 16);
    }
    sum
}

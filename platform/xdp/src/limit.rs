//! What one client is sent (RFC 4380 section 7.4): the limit for receivers of the server itself (src/limit/reflection.rs), for
//! each processor apart, as the server has it for each worker.
//!
//! A client hashes to a set of four accounts. If a fifth client comes, it takes the account of the one that was sent least. So
//! nobody is refused because of others.

use aya_ebpf::helpers::bpf_ktime_get_ns;

use crate::layout::{Account, SETS, TEST_CLOCK, WAYS};
use crate::{ACCOUNTS, CLOCK, setting};

/// Where a packet is charged, and what the account says then.
pub struct Charge {
    account: *mut Account,
    then: Account,
}

/// Whether one more packet may be sent.
pub enum Admission {
    /// It may; where it is charged, if there is a limit.
    Within(Option<Charge>),
    /// It is over the limit.
    Over,
    /// There is no account: never, but the verifier does not know.
    Unknown,
}

/// Says whether a client may be sent one more packet.
#[inline(always)]
pub fn account(client: u32) -> Admission {
    let (interval, tolerance) = (setting!(interval), setting!(tolerance));
    if interval == 0 {
        return Admission::Within(None);
    }
    let receiver = u64::from(client);
    let Some(set) = ACCOUNTS.get_ptr_mut(hash(receiver)) else {
        return Admission::Unknown;
    };
    let Some(now) = now() else {
        return Admission::Unknown;
    };
    let accounts: *mut Account = set.cast();
    // SAFETY: the first account of a set that the map lookup gave.
    let mut found = (accounts, unsafe { *accounts });
    let mut way = 0;
    let mut known = false;
    while way < WAYS {
        // SAFETY: inside of the set.
        let account = unsafe { accounts.add(way) };
        // SAFETY: the account is one of the map, which is zeroed at first and written by `charge` alone.
        let held = unsafe { *account };
        if held.receiver == receiver {
            (found, known) = ((account, held), true);
            break;
        }
        if held.expected < found.1.expected {
            found = (account, held);
        }
        way += 1;
    }
    let expected = if known { found.1.expected } else { 0 };
    if expected > now.saturating_add(tolerance) {
        return Admission::Over;
    }
    let next = if expected > now { expected } else { now };
    Admission::Within(Some(Charge {
        account: found.0,
        then: Account {
            receiver,
            expected: next.saturating_add(interval),
        },
    }))
}

/// Counts a packet that is sent.
#[inline(always)]
pub fn charge(charge: Charge) {
    // SAFETY: an account of this processor's map, on which no second program runs before this one ends.
    unsafe { *charge.account = charge.then };
}

/// Multiplies twice by what nobody outside knows, and takes the top bits, which depend on all below.
#[inline(always)]
fn hash(receiver: u64) -> u32 {
    let (first, second) = (setting!(key[0]), setting!(key[1]));
    let mixed = (receiver ^ second).wrapping_mul(first | 1);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(second | 1);
    (mixed >> (64 - SETS.trailing_zeros())) as u32
}

/// Nanoseconds on a clock that never goes back.
#[inline(always)]
fn now() -> Option<u64> {
    if setting!(flags) & TEST_CLOCK != 0 {
        return CLOCK.get(0).copied();
    }
    // SAFETY: the helper takes nothing and asks for nothing.
    Some(unsafe { bpf_ktime_get_ns() })
}

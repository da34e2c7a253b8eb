//! A limit for what each receiver is sent, whoever asks (RFC 4380 section 7.4).
//!
//! An attacker who forges sources makes the server send to a victim. So does one who puts the victim's address into a Teredo
//! address. Therefore the limit counts where a packet goes: to the client that is answered, or to the IPv4 address that a Teredo
//! address embeds. An echo to a native host counts for the /48 of the destination. A site has that much at most in common practice
//! (RFC 6177), and an attack on any of its hosts fills the one line of the site. To count by the source would not help, because
//! the source may be forged.
//!
//! The memory is fixed. A receiver hashes to a set of four accounts, with a key of this process, so that nobody outside can choose
//! who meets whom. A receiver has its own account there. If a fifth receiver comes, it takes the account of the one that was sent
//! least. So nobody is refused because of others, and the victim of a flood keeps its account.

use std::hash::{BuildHasher, RandomState};
use std::net::Ipv6Addr;

use foldhash::fast::FixedState;

use super::{Pace, RateLimit};
use crate::verdict::Route;

/// Accounts of a set. Four fill a cache line.
const WAYS: usize = 4;
/// Sets of accounts, a power of two. They take 128 KiB.
const SETS: usize = 1 << 11;

#[derive(Clone, Debug)]
pub(super) struct Reflection {
    sets: Box<[[Entry; WAYS]]>,
    key: FixedState,
    pace: Pace,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    receiver: u64,
    /// Theoretical arrival time of the next packet.
    expected: u64,
}

/// Where the packets of a receiver are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    set: usize,
    way: usize,
}

/// The IPv4 address or the /48 that a packet goes to. They never are the same number: a /48 inside 2000::/3 has more than 32 bits.
pub(super) fn receiver(route: &Route) -> u64 {
    match route {
        Route::Udp { to, .. } => to.ip().to_bits().into(),
        Route::Native { destination, .. } => site(*destination),
    }
}

fn site(address: Ipv6Addr) -> u64 {
    let [a, b, c, ..] = address.segments();
    u64::from(a) << 32 | u64::from(b) << 16 | u64::from(c)
}

impl Reflection {
    pub(super) fn new(limit: RateLimit) -> Self {
        let empty = Entry {
            receiver: 0,
            expected: 0,
        };
        Self {
            sets: vec![[empty; WAYS]; SETS].into_boxed_slice(),
            // The standard library's key is good, its hash costs ten times as much.
            key: FixedState::with_seed(RandomState::new().hash_one(SETS)),
            pace: limit.pace(),
        }
    }

    /// The account to count one more packet to `receiver` in, or `None` if the packet is over the limit.
    pub(super) fn account(&self, receiver: u64, now: u64) -> Option<Account> {
        let set = self.key.hash_one(receiver) as usize & (SETS - 1);
        let entries = self.sets.get(set)?;
        let known = |entry: &Entry| entry.receiver == receiver;
        match entries.iter().position(known) {
            Some(way) => {
                let expected = entries.get(way)?.expected;
                let account = Account { set, way };
                self.pace.admits(expected, now).then_some(account)
            }
            None => {
                let ways = entries.iter().enumerate();
                let (way, _) = ways.min_by_key(|(_, entry)| entry.expected)?;
                Some(Account { set, way })
            }
        }
    }

    /// Counts a packet to `receiver` in the account that [`Reflection::account`] named.
    pub(super) fn charge(&mut self, account: Account, receiver: u64, now: u64) {
        let set = self.sets.get_mut(account.set);
        let Some(entry) = set.and_then(|entries| entries.get_mut(account.way)) else {
            return;
        };
        if entry.receiver != receiver {
            *entry = Entry {
                receiver,
                expected: 0,
            };
        }
        entry.expected = self.pace.next(entry.expected, now);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};
    use std::num::NonZeroU32;

    use platform::Via;

    use super::*;

    const VICTIM: u64 = 0xc000_0207;
    const MS: u64 = 1_000_000;

    fn reflection(packets_per_second: u32, burst: u32) -> Reflection {
        Reflection::new(RateLimit {
            packets_per_second: NonZeroU32::new(packets_per_second).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
        })
    }

    fn sent(reflection: &mut Reflection, receiver: u64, now: u64) -> bool {
        let account = reflection.account(receiver, now);
        if let Some(account) = account {
            reflection.charge(account, receiver, now);
        }
        account.is_some()
    }

    #[test]
    fn burst_then_rate() {
        let mut reflection = reflection(10, 3);
        let mut at = |ms| sent(&mut reflection, VICTIM, ms * MS);
        assert_eq!([0, 0, 0, 0].map(&mut at), [true, true, true, false]);
        assert_eq!([99, 100, 100, 200].map(&mut at), [false, true, false, true]);
        assert_eq!([9000; 4].map(&mut at), [true, true, true, false]);
    }

    #[test]
    fn what_was_not_charged_does_not_count() {
        let mut reflection = reflection(1, 1);
        for _ in 0..100 {
            assert!(reflection.account(VICTIM, 0).is_some());
        }
        assert!(sent(&mut reflection, VICTIM, 0));
        for _ in 0..100 {
            assert!(!sent(&mut reflection, VICTIM, 0));
        }
        assert!(sent(&mut reflection, VICTIM, 1000 * MS));
    }

    #[test]
    fn the_largest_limit_is_none() {
        let mut reflection = reflection(u32::MAX, u32::MAX);
        for _ in 0..1000 {
            assert!(sent(&mut reflection, VICTIM, 1000 * MS));
            assert!(sent(&mut reflection, VICTIM, 0));
        }
    }

    /// Far more of them than there are accounts.
    #[test]
    fn nobody_is_refused_for_what_another_was_sent() {
        let mut reflection = reflection(1, 1);
        for receiver in 0..100_000 {
            assert!(sent(&mut reflection, receiver, 0), "{receiver}");
        }
    }

    #[test]
    fn a_victim_is_not_forgotten() {
        let mut reflection = reflection(1, 10);
        let mut to_victim = 0;
        for receiver in 0..100_000 {
            to_victim += u32::from(sent(&mut reflection, VICTIM, 0));
            let _other = sent(&mut reflection, 1 << 32 | receiver, 0);
        }
        assert_eq!(to_victim, 10);
    }

    /// Filled evenly, a set takes the fifth receiver only at the cost of another.
    #[test]
    fn some_hundred_receivers_are_all_known() {
        let mut reflection = reflection(1, 1);
        let receivers = 0..(SETS * WAYS / 8) as u64;
        for receiver in receivers.clone() {
            assert!(sent(&mut reflection, receiver, 0));
        }
        let known = receivers
            .filter(|receiver| !sent(&mut reflection, *receiver, 0))
            .count();
        assert!(known >= SETS * WAYS / 8 * 99 / 100, "{known}");
    }

    #[test]
    fn receivers_are_addresses_or_sites() {
        let udp = |address: [u8; 4], port| {
            receiver(&Route::Udp {
                via: Via::Primary,
                to: SocketAddrV4::new(Ipv4Addr::from(address), port),
            })
        };
        assert_eq!(udp([192, 0, 2, 7], 1), VICTIM);
        assert_eq!(udp([192, 0, 2, 7], 1), udp([192, 0, 2, 7], 65535));
        let native = |destination: &str| {
            receiver(&Route::Native {
                source: Ipv6Addr::UNSPECIFIED,
                destination: destination.parse().unwrap(),
                hop_limit: 1,
            })
        };
        assert_eq!(native("2001:db8:7:1::1"), 0x2001_0db8_0007);
        assert_eq!(native("2001:db8:7:1::1"), native("2001:db8:7:ffff::2"));
        assert_ne!(native("2001:db8:7::1"), native("2001:db8:8::1"));
    }
}

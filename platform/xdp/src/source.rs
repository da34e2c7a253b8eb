//! Rule 3: who may ask (RFC 4380 sections 5.3.1 and 5.2.4).

use crate::frame::{Frame, PORT};
use crate::layout::{ALLOWS_PRIVATE, BROADCAST, OWN};
use crate::reason::Drop;
use crate::{HOST, setting};

/// Says whether a datagram may come from there. `None` is one that has this host as source, and is not from it: the kernel refuses
/// it, unless it is told not to (`fib_validate_source`, net/ipv4/fib_frontend.c).
#[inline(always)]
pub fn check(frame: &Frame) -> Option<Result<(), Drop>> {
    if frame.port == 0 {
        return Some(Err(Drop::SourcePort));
    }
    let octets = frame.source.to_ne_bytes();
    if is_never_unicast(octets) || (is_local(octets) && setting!(flags) & ALLOWS_PRIVATE == 0) {
        return Some(Err(Drop::SourceAddress));
    }
    // SAFETY: nobody writes to the map after the program is attached.
    let known = unsafe { HOST.get(frame.source) }.copied().unwrap_or(0);
    if known & BROADCAST != 0 {
        return Some(Err(Drop::SourceAddress));
    }
    if known & OWN != 0 && frame.port == PORT {
        return Some(Err(Drop::SourceLoop));
    }
    if known & OWN != 0 || octets[0] == 127 {
        return None;
    }
    Some(Ok(()))
}

/// 0/8, 192.88.99/24 (6to4 anycast), 224/4 and 240/4.
#[inline(always)]
fn is_never_unicast([a, b, c, _]: [u8; 4]) -> bool {
    a == 0 || a >= 224 || (a == 192 && b == 88 && c == 99)
}

/// Loopback, private and link-local addresses.
#[inline(always)]
fn is_local([a, b, ..]: [u8; 4]) -> bool {
    a == 127
        || a == 10
        || (a == 172 && b & 0xf0 == 16)
        || (a == 192 && b == 168)
        || (a == 169 && b == 254)
}

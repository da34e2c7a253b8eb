//! What Linux tells of a socket's queues.

use std::os::fd::AsFd;

use crate::socket_option;
use crate::udp::Queues;

/// How many words there are up to the last one of use here, SK_MEMINFO_DROPS (include/uapi/linux/sock_diag.h).
const WORDS: usize = libc::SK_MEMINFO_DROPS as usize + 1;

/// SO_MEMINFO, since Linux 4.12, of UDP and raw sockets alike; it takes no privilege (net/core/sock.c, `sk_get_meminfo`). What
/// is dropped is counted for whatever cause, a wrong checksum among them (net/ipv4/udp.c).
pub(super) fn queues(socket: impl AsFd) -> Option<Queues> {
    let words: [u32; WORDS] =
        socket_option::words(&socket, libc::SOL_SOCKET, libc::SO_MEMINFO).ok()?;
    let word = |number: libc::c_int| {
        let word = usize::try_from(number).ok().and_then(|at| words.get(at));
        word.copied().unwrap_or(0)
    };
    Some(Queues {
        arrived: word(libc::SK_MEMINFO_RMEM_ALLOC),
        receive_buffer: word(libc::SK_MEMINFO_RCVBUF),
        leaving: word(libc::SK_MEMINFO_WMEM_ALLOC),
        send_buffer: word(libc::SK_MEMINFO_SNDBUF),
        dropped: word(libc::SK_MEMINFO_DROPS),
    })
}

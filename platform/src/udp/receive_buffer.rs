//! The largest receive buffer that a kernel grants which refuses what is too large.

use std::io;

use nix::errno::Errno;

/// How near to the most that can be had is near enough, in bytes.
const GRAIN: u32 = 4096;

/// Asks by `set` for `bytes`, and while ENOBUFS is the answer for what lies halfway between the most that was granted and the
/// least that was refused; says how many of them the socket holds then.
///
/// What is too large is refused by `sbreserve` of OpenBSD and NetBSD (sys/kern/uipc_socket2.c) and by `sbsetopt` of FreeBSD
/// (sys/kern/uipc_sockbuf.c), and cut without a word by `ssb_reserve` of DragonFly (sys/kern/uipc_socket2.c). `sbreserve` of
/// xnu (bsd/kern/uipc_socket2.c) cuts it, and refuses it where the socket holds the most already. So only what is read back
/// counts.
pub(crate) fn largest(
    bytes: u32,
    set: impl Fn(u32) -> io::Result<()>,
    held: impl Fn() -> io::Result<u32>,
) -> io::Result<u32> {
    let granted = |bytes| match set(bytes) {
        Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => Ok(false),
        outcome => outcome.map(|()| true),
    };
    if !granted(bytes)? {
        let (mut least, mut most) = (held()?.min(bytes), bytes);
        while most.saturating_sub(least) > GRAIN {
            let middle = least.midpoint(most);
            match granted(middle)? {
                true => least = middle,
                false => most = middle,
            }
        }
    }
    Ok(held()?.min(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const MOST: u32 = 1_000_000;

    /// A kernel, by what it does to what a socket holds; whether it grants that.
    type Kernel = fn(&Cell<u32>, u32) -> bool;

    const REFUSES: Kernel = |held, asked| {
        if asked <= MOST {
            held.set(asked);
        }
        asked <= MOST
    };
    const CUTS: Kernel = |held, asked| {
        held.set(asked.min(MOST));
        true
    };
    const CUTS_ONCE: Kernel = |held, asked| {
        let already = asked > MOST && held.get() == MOST;
        if !already {
            held.set(asked.min(MOST));
        }
        !already
    };

    /// What is granted, to a socket that holds so much before and as much as the other number says afterwards.
    fn granted(kernel: Kernel, before: u32, bytes: u32) -> (u32, u32) {
        let held = Cell::new(before);
        let set = |asked| match kernel(&held, asked) {
            true => Ok(()),
            false => Err(Errno::ENOBUFS.into()),
        };
        let granted = largest(bytes, set, || Ok(held.get())).unwrap();
        (granted, held.get())
    }

    #[test]
    fn what_a_kernel_can_grant_is_granted() {
        for kernel in [REFUSES, CUTS, CUTS_ONCE] {
            assert_eq!(granted(kernel, 40_000, 500_000), (500_000, 500_000));
            assert_eq!(granted(kernel, 500_000, 40_000), (40_000, 40_000));
            assert_eq!(granted(kernel, MOST, MOST), (MOST, MOST));
        }
    }

    #[test]
    fn nearly_all_is_granted() {
        for bytes in [MOST + 1, 1_500_000, 3_200_000, u32::MAX] {
            for before in [0, 40_000, MOST] {
                let (granted, held) = granted(REFUSES, before, bytes);
                assert_eq!(granted, held);
                assert!((MOST - GRAIN..=MOST).contains(&held), "{held} of {bytes}");
            }
            assert_eq!(granted(CUTS, 40_000, bytes), (MOST, MOST));
            assert_eq!(granted(CUTS_ONCE, 40_000, bytes), (MOST, MOST));
        }
    }

    /// A second time: by a reload, or through the duplicate of another thread.
    #[test]
    fn what_is_too_large_takes_nothing_away() {
        for kernel in [REFUSES, CUTS, CUTS_ONCE] {
            assert_eq!(granted(kernel, MOST, 3_200_000), (MOST, MOST));
            assert_eq!(granted(kernel, MOST, 1_500_000), (MOST, MOST));
        }
    }

    #[test]
    fn another_error_is_one() {
        let set = |_| Err(Errno::EBADF.into());
        let error = largest(4096, set, || Ok(0)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EBADF as i32));
        // A kernel that grants nothing leaves what is there.
        let set = |_| Err(Errno::ENOBUFS.into());
        assert_eq!(largest(4096, set, || Ok(0)).unwrap(), 0);
    }
}

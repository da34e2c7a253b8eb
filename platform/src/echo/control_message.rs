//! Control messages of sendmsg(2), laid out by hand: no crate has those of IPv6 for every system.

use libc::c_int;

/// How a system lays out control messages (CMSG_DATA(3); sys/sys/socket.h of FreeBSD and OpenBSD).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Size of `cmsg_len`, in bytes. Level and type follow, four bytes each.
    pub(crate) length: usize,
    /// Header and data are padded to a multiple of this, in bytes, a power of two.
    pub(crate) align: usize,
}

/// Room for the longest messages here: an in6_pktinfo and an int, on a 64-bit system.
const ROOM: usize = 64;

/// Control messages one behind the other.
pub(crate) struct ControlMessages {
    layout: Layout,
    bytes: [u8; ROOM],
    used: usize,
}

impl Layout {
    /// A 64-bit or 32-bit BSD: `cmsg_len` is a socklen_t, and the machine aligns to the size of a register, which is that
    /// of a long (`_ALIGNBYTES` in sys/amd64/include/_align.h of FreeBSD, sys/arch/amd64/include/_types.h of OpenBSD).
    #[cfg(any(target_os = "freebsd", target_os = "openbsd"))]
    pub(crate) const HERE: Self = Self {
        length: size_of::<libc::socklen_t>(),
        align: size_of::<libc::c_long>(),
    };

    /// Linux (cmsg(3)): `cmsg_len` is a size_t.
    #[cfg(target_os = "linux")]
    pub(crate) const HERE: Self = Self {
        length: size_of::<usize>(),
        align: size_of::<libc::c_long>(),
    };

    const fn padded(self, length: usize) -> usize {
        match length.checked_next_multiple_of(self.align) {
            Some(length) => length,
            None => ROOM,
        }
    }

    /// Where the data begins (CMSG_LEN of nothing).
    const fn header(self) -> usize {
        self.padded(self.length.saturating_add(8))
    }
}

/// The macros of the system agree, wherever this is compiled for.
const _: () = {
    // SAFETY: only arithmetic.
    let header = unsafe { libc::CMSG_LEN(0) };
    assert!(Layout::HERE.header() == header as usize);
    // SAFETY: only arithmetic.
    let one = unsafe { libc::CMSG_SPACE(1) };
    assert!(Layout::HERE.header() + Layout::HERE.align == one as usize);
};

impl ControlMessages {
    /// None yet.
    pub(crate) fn new(layout: Layout) -> Self {
        Self {
            layout,
            bytes: [0; ROOM],
            used: 0,
        }
    }

    /// Adds one. Where there is no room for it, it is left out.
    pub(crate) fn with(mut self, level: c_int, kind: c_int, data: &[u8]) -> Self {
        let header = self.layout.header();
        let length = header.saturating_add(data.len());
        let end = self.used.saturating_add(self.layout.padded(length));
        let Some(room) = self.bytes.get_mut(self.used..end) else {
            return self;
        };
        let (head, body) = room.split_at_mut(header);
        // A size_t in memory is, on either kind of machine, found by its own bytes.
        match self.layout.length {
            4 => put(head, 0, &u32::try_from(length).unwrap_or(0).to_ne_bytes()),
            _ => put(head, 0, &length.to_ne_bytes()),
        }
        put(head, self.layout.length, &level.to_ne_bytes());
        put(
            head,
            self.layout.length.saturating_add(4),
            &kind.to_ne_bytes(),
        );
        put(body, 0, data);
        self.used = end;
        self
    }

    /// As `msg_control` wants them.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}

fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    let end = at.saturating_add(bytes.len());
    if let Some(to) = to.get_mut(at..end) {
        to.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ne(number: i32) -> [u8; 4] {
        number.to_ne_bytes()
    }

    #[test]
    fn the_layout_here_is_that_of_the_macros() {
        for length in [1, 4, 8, 20] {
            let messages = ControlMessages::new(Layout::HERE).with(1, 2, &vec![7; length]);
            let size = u32::try_from(length).unwrap();
            // SAFETY: only arithmetic.
            let space = unsafe { libc::CMSG_SPACE(size) };
            // SAFETY: only arithmetic.
            let whole = unsafe { libc::CMSG_LEN(size) };
            assert_eq!(messages.bytes().len(), space as usize);
            assert_eq!(Layout::HERE.header() + length, whole as usize);
        }
    }

    /// The two messages of FreeBSD: 64 bytes where registers have 64 bits, 56 where they have 32.
    #[test]
    fn bsd_messages_have_a_length_of_four_bytes_and_padding() {
        let source = [0xab; 20];
        let with = |align| {
            ControlMessages::new(Layout { length: 4, align })
                .with(41, 46, &source)
                .with(41, 47, &ne(9))
        };
        let wide = with(8);
        let expected = [
            &ne(36)[..],
            &ne(41),
            &ne(46),
            &[0; 4],
            &source,
            &[0; 4],
            &ne(20),
            &ne(41),
            &ne(47),
            &[0; 4],
            &ne(9),
            &[0; 4],
        ];
        assert_eq!(wide.bytes(), expected.concat());
        let narrow = with(4);
        let expected = [
            &ne(32)[..],
            &ne(41),
            &ne(46),
            &source,
            &ne(16),
            &ne(41),
            &ne(47),
            &ne(9),
        ];
        assert_eq!(narrow.bytes(), expected.concat());
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let messages = ControlMessages::new(Layout::HERE).with(1, 2, &[0; ROOM]);
        assert_eq!(messages.bytes(), []);
    }

    /// The kernel of this machine understands them. nix reads hop limits on these systems alone.
    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    #[test]
    fn a_hop_limit_arrives() {
        use std::net::{Ipv6Addr, UdpSocket};

        use nix::sys::socket::{
            ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt,
        };
        use socket2::{MsgHdr, SockRef};

        let Ok(receiver) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) else {
            assert!(std::env::var_os("CI").is_none(), "no IPv6");
            eprintln!("SKIPPED: this machine has no IPv6");
            return;
        };
        setsockopt(&receiver, sockopt::Ipv6RecvHopLimit, &true).unwrap();
        let sender = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        let control = ControlMessages::new(Layout::HERE).with(
            libc::IPPROTO_IPV6,
            libc::IPV6_HOPLIMIT,
            &ne(9),
        );
        let to = receiver.local_addr().unwrap().into();
        let parts = [std::io::IoSlice::new(b"limited")];
        let message = MsgHdr::new()
            .with_addr(&to)
            .with_buffers(&parts)
            .with_control(control.bytes());
        SockRef::from(&sender).sendmsg(&message, 0).unwrap();

        let mut space = nix::cmsg_space!(i32);
        let mut buffer = [0; 16];
        let mut parts = [std::io::IoSliceMut::new(&mut buffer)];
        let received = recvmsg::<SockaddrIn6>(
            std::os::fd::AsRawFd::as_raw_fd(&receiver),
            &mut parts,
            Some(&mut space),
            MsgFlags::empty(),
        )
        .unwrap();
        let seen: Vec<_> = received.cmsgs().unwrap().collect();
        assert_eq!(seen, [ControlMessageOwned::Ipv6HopLimit(9)]);
    }
}

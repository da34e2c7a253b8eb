//! What waits in the kernel at a socket.

use std::num::NonZeroU32;

use crate::contract::BATCH;

/// What a system tells of a socket's two queues. Sizes are in bytes, as the kernel charges them to the socket: several times
/// those of small datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// What has arrived and waits.
    pub arrived: u32,
    /// How much may be in `arrived`.
    pub receive_buffer: u32,
    /// What was sent and has not left.
    pub leaving: u32,
    /// How much may be in `leaving`.
    pub send_buffer: u32,
    /// Datagrams dropped since the socket was opened, modulo 2^32.
    pub dropped: u32,
}

impl Queues {
    /// How much may be in `leaving` before nothing more is sent to neighbours. A batch of 64 datagrams may come on top, so
    /// the rest of the usual 212,992 bytes is left for what goes through a router.
    const FOR_NEIGHBOURS: u32 = 64 << 10;

    /// Whether something may be sent to a neighbour, who may be absent: it then waits for seconds, charged to the socket, and
    /// a full socket sends nothing to anybody.
    pub fn admit_neighbours(&self, share: NeighbourShare) -> bool {
        self.leaving < (Self::FOR_NEIGHBOURS / share.0).min(self.send_buffer / 3)
    }

    /// Whether more than half of what can wait does.
    pub fn backlogged(&self) -> bool {
        self.arrived > self.receive_buffer / 2
    }
}

/// How much of [`Queues::leaving`] a socket may use for neighbours, beside the other sockets of a server.
///
/// Each absent neighbour that is asked for takes a place in the host's table of neighbours, of which there are 1,024 (`gc_thresh3`,
/// arp(7)). When it is full, the host reaches no new neighbour. A datagram of a Teredo server is charged with 768 bytes, so one
/// socket may ask for 85 neighbours, and a batch of 64. The fifth socket and those after it get no places of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourShare(NonZeroU32);

impl NeighbourShare {
    /// All that one socket may use.
    pub const WHOLE: Self = Self(NonZeroU32::MIN);
    /// So many sockets may each use all of it.
    const SOCKETS: usize = 4;

    /// That of each of so many sockets.
    #[must_use]
    pub fn of(sockets: usize) -> Self {
        let parts = u32::try_from(sockets.div_ceil(Self::SOCKETS)).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(parts).unwrap_or(NonZeroU32::MIN))
    }

    /// How many datagrams may go to neighbours before the queues are looked at again, one at least.
    pub(super) fn datagrams(self) -> usize {
        let parts = usize::try_from(self.0.get()).unwrap_or(usize::MAX);
        BATCH.checked_div(parts).unwrap_or(0).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_never_fill_a_socket() {
        let admit = |leaving, send_buffer| {
            let queues = Queues {
                leaving,
                send_buffer,
                ..Queues::default()
            };
            queues.admit_neighbours(NeighbourShare::WHOLE)
        };
        assert!(admit(0, 212_992) && admit(65_535, 212_992));
        assert!(!admit(65_536, 212_992) && !admit(65_536, u32::MAX));
        assert!(admit(0, 4608) && !admit(1536, 4608));
    }

    #[test]
    fn neighbours_never_fill_the_table() {
        // What the kernel charges for a datagram of up to 150 bytes.
        const CHARGE: u32 = 768;
        for sockets in 1..=2 * 64 {
            let share = NeighbourShare::of(sockets);
            let mut queues = Queues {
                send_buffer: 212_992,
                ..Queues::default()
            };
            let mut waiting = 0;
            while queues.admit_neighbours(share) {
                waiting += share.datagrams();
                queues.leaving = u32::try_from(waiting).unwrap() * CHARGE;
            }
            assert!((2..=149).contains(&waiting), "{waiting}");
            assert!(waiting * sockets <= 512, "{waiting} of {sockets}");
        }
        assert_eq!(NeighbourShare::of(0), NeighbourShare::WHOLE);
        assert_eq!(NeighbourShare::of(4), NeighbourShare::WHOLE);
        assert_eq!(NeighbourShare::WHOLE.datagrams(), BATCH);
    }
}

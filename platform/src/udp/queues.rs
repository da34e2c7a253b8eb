//! What waits in the kernel at a socket.

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
    /// the rest of the usual 212,992 bytes is left for what goes through a router. More would let so many absent neighbours be
    /// asked for that the host's table of them overflows (`gc_thresh3`, arp(7)), and then the host reaches no new one.
    const FOR_NEIGHBOURS: u32 = 64 << 10;

    /// Whether something may be sent to a neighbour, who may be absent: it then waits for seconds, charged to the socket, and
    /// a full socket sends nothing to anybody.
    pub fn admit_neighbours(&self) -> bool {
        self.leaving < Self::FOR_NEIGHBOURS.min(self.send_buffer / 3)
    }

    /// Whether more than half of what can wait does.
    pub fn backlogged(&self) -> bool {
        self.arrived > self.receive_buffer / 2
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
            queues.admit_neighbours()
        };
        assert!(admit(0, 212_992) && admit(65_535, 212_992));
        assert!(!admit(65_536, 212_992) && !admit(65_536, u32::MAX));
        assert!(admit(0, 4608) && !admit(1536, 4608));
    }
}

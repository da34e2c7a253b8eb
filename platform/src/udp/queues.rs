//! What waits in the kernel at a socket.

/// What a system tells of a socket's two queues. Sizes are in bytes, as the kernel charges them to the socket: several times
/// those of small datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// What has arrived and waits.
    pub arrived: u32,
    /// How much may be in `arrived`.
    pub receive_buffer: u32,
    /// Datagrams dropped since the socket was opened, modulo 2^32.
    pub dropped: u32,
}

impl Queues {
    /// Whether more than half of what can wait does.
    pub fn backlogged(&self) -> bool {
        self.arrived > self.receive_buffer / 2
    }
}

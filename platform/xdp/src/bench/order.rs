//! What a program of clients and its loader agree on. Both compile this file.

/// Frames to send, and how far that is: the one element of the map `ORDER`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Order {
    /// Nanoseconds between two frames.
    pub interval: u64,
    /// How many nanoseconds are made up for at most.
    pub slack: u64,
    /// When the first frame was sent, on the monotonic clock.
    pub begin: u64,
    /// When the next frame is due, on the monotonic clock.
    pub due: u64,
    /// Frames that were sent.
    pub sent: u64,
    /// The sum of the IPv4 header in one's complement, its source and checksum zero.
    pub header_sum: u32,
    /// The same of the datagram with its pseudo header, the source port zero too.
    pub datagram_sum: u32,
    /// The lowest source address, as a number.
    pub source: u32,
    /// The bits of it that change.
    pub source_mask: u32,
    /// The lowest source port.
    pub port: u32,
    /// The bits of it that change.
    pub port_mask: u32,
    /// The length of the frame in bytes.
    pub length: u32,
    /// So that every octet of this is written.
    pub padding: u32,
    /// The frame.
    pub frame: [u8; FRAME_MAX],
}

/// The longest frame in bytes.
pub const FRAME_MAX: usize = 192;
/// Octets that are behind the frame, to be cut off: the kernel takes anew how long it is from whoever changes that.
pub const BEHIND: usize = 4;
/// Answers to ports from here on are for programs: Linux gives none below to a socket that did not ask for it (ip(7),
/// `ip_local_port_range`).
pub const FIRST_EPHEMERAL: u16 = 32768;

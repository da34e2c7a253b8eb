//! What the program and its loader agree on. Both compile this file.
//!
//! Addresses and ports are as they are on the wire: read from there without turning their bytes round.

/// What the program is told once, when it is loaded. The verifier sees it as constants.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Settings {
    /// Nanoseconds between packets to one client; 0 is no limit.
    pub interval: u64,
    /// How many nanoseconds too early a packet may come.
    pub tolerance: u64,
    /// Chosen by chance, so that nobody outside can choose who meets whom in the accounts.
    pub key: [u64; 2],
    /// The answer to a solicitation whose source is `::`.
    pub advertisement: [u64; ADVERTISEMENT_LEN / 8],
    /// The sum of its 16-bit words in one's complement, in 16 bits.
    pub advertisement_sum: u32,
    /// The server's own link-local address, which a solicitation may be sent to.
    pub link_local: [u8; 16],
    /// The primary address, as it is bound.
    pub primary: u32,
    /// The secondary address; 0 is none.
    pub secondary: u32,
    /// The first 32 bits of Teredo addresses.
    pub prefix: u32,
    /// [`ANSWERS`], [`ANSWERS_CONE`], [`ALLOWS_PRIVATE`], [`TEST_CLOCK`].
    pub flags: u32,
    /// The Ethernet address of the interface.
    pub ethernet: [u8; 6],
    /// So that every octet of this is written.
    pub padding: [u8; 6],
}

/// Length in bytes of the advertisement.
pub const ADVERTISEMENT_LEN: usize = 96;

/// Solicitations are answered.
pub const ANSWERS: u32 = 1;
/// Those with the cone bit too, from the other address.
pub const ANSWERS_CONE: u32 = 2;
/// Peers may have loopback, private and link-local addresses.
pub const ALLOWS_PRIVATE: u32 = 4;
/// The time is what the map `CLOCK` says: for tests.
pub const TEST_CLOCK: u32 = 8;

impl Settings {
    /// What a program has that was not told anything.
    pub const NONE: Self = Self {
        interval: 0,
        tolerance: 0,
        key: [0; 2],
        advertisement: [0; ADVERTISEMENT_LEN / 8],
        advertisement_sum: 0,
        link_local: [0; 16],
        primary: 0,
        secondary: 0,
        prefix: 0,
        flags: 0,
        ethernet: [0; 6],
        padding: [0; 6],
    };
}

/// The longest payload of a datagram that the server takes whole, in bytes.
pub const PAYLOAD_MAX: usize = 2048;

/// Where what is counted is, in the one element of the map `COUNTERS`: datagrams that came to the primary address.
pub const RECEIVED_PRIMARY: usize = 0;
/// To the secondary address.
pub const RECEIVED_SECONDARY: usize = 1;
/// Solicitations that were answered.
pub const ADVERTISED: usize = 2;
/// Datagrams that were dropped, for the first reason; the others follow in their order.
pub const DROPPED: usize = 3;
/// How many there are.
pub const COUNTERS: usize = DROPPED + 10;

/// What an IPv4 address in the map `HOST` is.
pub const OWN: u32 = 1;
/// See [`OWN`].
pub const BROADCAST: u32 = 2;
/// How many addresses the map holds.
pub const HOST_ADDRESSES: u32 = 4096;

/// Accounts of a set. Four fill a cache line.
pub const WAYS: usize = 4;
/// Sets of accounts, a power of two. They take 128 KiB a processor.
pub const SETS: u32 = 1 << 11;

/// What one client was sent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Account {
    /// Its IPv4 address.
    pub receiver: u64,
    /// Theoretical arrival time of its next packet, in nanoseconds.
    pub expected: u64,
}

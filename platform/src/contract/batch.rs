//! The buffers that datagrams travel in. Allocated once; nothing here allocates afterwards.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::Via;

/// How many datagrams one call moves at most.
pub const BATCH: usize = 64;

/// Longest datagram that is received whole, in bytes. Teredo packets fit in 1280 and their headers (RFC 4380 section 5.1.2).
pub const DATAGRAM_MAX: usize = 2048;

/// Longest datagram that is sent, in bytes: an advertisement with the longest client identifier (RFC 4380 section 5.1.1) has 392.
pub const REPLY_MAX: usize = 400;

/// One datagram as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The address it came to.
    pub via: Via,
    /// The address and port it came from.
    pub from: SocketAddrV4,
    /// Its payload; the first [`DATAGRAM_MAX`] bytes of it if `truncated`.
    pub bytes: &'a [u8],
    /// It was longer than [`DATAGRAM_MAX`].
    pub truncated: bool,
}

/// One datagram as it is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// The address to send it from.
    pub via: Via,
    /// The address and port to send it to.
    pub to: SocketAddrV4,
    /// Its payload.
    pub bytes: &'a [u8],
}

#[derive(Clone, Copy)]
struct Slot<const N: usize> {
    via: Via,
    peer: SocketAddrV4,
    len: usize,
    truncated: bool,
    bytes: [u8; N],
}

impl<const N: usize> Slot<N> {
    const EMPTY: Self = Self {
        via: Via::Primary,
        peer: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        len: 0,
        truncated: false,
        bytes: [0; N],
    };

    fn payload(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

/// Room for [`BATCH`] received datagrams. Backends fill it, callers read it.
pub struct Inbox {
    slots: Box<[Slot<DATAGRAM_MAX>]>,
    len: usize,
    backlogged: Option<bool>,
    // By address.
    dropped: [u64; 2],
}

/// Room for [`BATCH`] datagrams to send. Callers fill it, backends read it.
pub struct Outbox {
    slots: Box<[Slot<REPLY_MAX>]>,
    len: usize,
}

impl Inbox {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            slots: vec![Slot::EMPTY; BATCH].into_boxed_slice(),
            len: 0,
            backlogged: None,
            dropped: [0; 2],
        }
    }

    /// The datagrams, in the order in which they arrived at each address.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        self.slots.iter().take(self.len).map(|slot| Received {
            via: slot.via,
            from: slot.peer,
            bytes: slot.payload(),
            truncated: slot.truncated,
        })
    }

    /// How many datagrams it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets the datagrams, what waits behind them, and what was dropped.
    pub fn clear(&mut self) {
        self.len = 0;
        self.backlogged = None;
        self.dropped = [0; 2];
    }

    /// Whether so much waits still in the kernel that some may soon be lost: more than half of what a socket can hold. Nothing
    /// where the backend does not tell.
    pub fn backlogged(&self) -> Option<bool> {
        self.backlogged
    }

    /// Says whether more than half of what a socket can hold waits still. Of two sockets, the fuller one counts.
    pub fn set_backlogged(&mut self, backlogged: bool) {
        self.backlogged = Some(self.backlogged.unwrap_or(false) || backlogged);
    }

    /// How many datagrams to `via` the kernel dropped before anybody saw them, mostly for want of room in the socket, since this
    /// was last said. A backend may say it late, and where the system tells that it happened but not how often, 1 stands for
    /// any number.
    pub fn dropped(&self, via: Via) -> u64 {
        let [primary, secondary] = self.dropped;
        match via {
            Via::Primary => primary,
            Via::Secondary => secondary,
        }
    }

    /// Adds to [`Inbox::dropped`].
    pub fn add_dropped(&mut self, via: Via, datagrams: u64) {
        let [primary, secondary] = &mut self.dropped;
        let count = match via {
            Via::Primary => primary,
            Via::Secondary => secondary,
        };
        *count = count.saturating_add(datagrams);
    }

    /// The buffers that are still free, for a backend to receive into. [`Inbox::fill`] then takes them over in order.
    pub fn free(&mut self) -> impl Iterator<Item = &mut [u8; DATAGRAM_MAX]> {
        self.slots
            .iter_mut()
            .skip(self.len)
            .map(|slot| &mut slot.bytes)
    }

    /// Declares the first free buffer filled with a datagram of `len` bytes, its true length, which may exceed
    /// [`DATAGRAM_MAX`]; any such length will do where the system only says that it cut the datagram. Does nothing
    /// when all buffers are taken.
    pub fn fill(&mut self, via: Via, from: SocketAddrV4, len: usize) {
        if let Some(slot) = self.slots.get_mut(self.len) {
            slot.via = via;
            slot.peer = from;
            slot.len = len.min(DATAGRAM_MAX);
            slot.truncated = len > DATAGRAM_MAX;
            self.len = self.len.saturating_add(1);
        }
    }
}

impl Outbox {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            slots: vec![Slot::EMPTY; BATCH].into_boxed_slice(),
            len: 0,
        }
    }

    /// The datagrams, in the order in which they were put in.
    pub fn iter(&self) -> impl Iterator<Item = Outgoing<'_>> + Clone {
        self.slots.iter().take(self.len).map(|slot| Outgoing {
            via: slot.via,
            to: slot.peer,
            bytes: slot.payload(),
        })
    }

    /// How many datagrams it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets the datagrams.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// The next free buffer, or nothing when all are taken. [`Outbox::push`] then takes it over.
    pub fn free(&mut self) -> Option<&mut [u8; REPLY_MAX]> {
        self.slots.get_mut(self.len).map(|slot| &mut slot.bytes)
    }

    /// Declares the free buffer filled with `len` bytes to send. Does nothing when all buffers are taken.
    pub fn push(&mut self, via: Via, to: SocketAddrV4, len: usize) {
        if let Some(slot) = self.slots.get_mut(self.len) {
            slot.via = via;
            slot.peer = to;
            slot.len = len.min(REPLY_MAX);
            self.len = self.len.saturating_add(1);
        }
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

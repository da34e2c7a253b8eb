//! What the server asks of an operating system, as two contracts, and the only unsafe code of the project.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`contract`] | `UdpPair`, `RawIcmp6` and the values that they pass: what the server is written against |
//! | [`udp`] | the two UDP sockets: opening them, moving datagrams one or many a call, room for what arrives |
//! | [`echo`] | the ways out to native IPv6: a raw socket, a tunnel device |
//! | [`process`] | the life of a process: what it inherits, how it detaches, what it gives up, and the proof |
//! | `system` | what each operating system does in its own way |
//! | [`host`] | this host's addresses |
//! | [`error`] | errors that name call and object |
//! | `socket_option` | socket options that no crate knows |
//! | [`fake`] | both contracts in memory, for tests: records, loses, delays, answers would-block |
//!
//! Start-up in order: [`Endpoint::open`] and [`open_raw`] as root; [`confine`]; then, and not before, what starts
//! threads: [`Udp::new`].
//!
//! # A new system
//! supplies one module, named after it, chosen in `system` as `sys`, with
//! - `open_first`, `open_beside`, `clear_dont_fragment`: UDP sockets that share a port by load, if the system can, else
//!   `udp::open::open_alone` and `duplicate`; sockets that never send DF;
//! - `set_receive_buffer`, `RECEIVE_BUFFER_LIMIT`: room for what arrives, and what the administrator calls its limit;
//! - `Mover`: the fastest [`udp::Mover`] it has, at worst [`udp::Plain`];
//! - `open_raw`, `share_raw`, `RawSocket`: a [`RawIcmp6`] that sends from an address which is not the host's, and what it
//!   needs from root; a system that has none says so in `RAW_IS_TUNNEL` and names those of `echo::tunnel`;
//! - `open_tunnel`, `raise`, `FRAME`, `FORWARDING`, `forwards`: a tunnel device, the command that brings its interface up,
//!   what goes before each packet, and whether the host forwards IPv6;
//! - `renounce`, `prove`, `seal`: what privilege it knows beside ids, given up for good and read back, and what would forbid
//!   reading back; `limit`: rights of a descriptor;
//! - `single_thread`: whether the process has but one thread, if the system tells;
//!
//! and its row in `process::ids`.

pub mod contract;
pub mod echo;
pub mod error;
pub mod fake;
pub mod host;
pub mod process;
#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "openbsd"))]
mod socket_option;
mod system;
pub mod udp;

use system::sys;

pub use contract::{
    BATCH, DATAGRAM_MAX, Icmp6, Inbox, Outbox, Outgoing, Progress, REPLY_MAX, RawIcmp6, Received,
    SendReport, UdpPair, Via,
};
pub use echo::{Raw, Way, check_raw, open_raw, share_raw};
pub use error::OsError;
pub use host::{HostAddresses, host_addresses};
pub use process::confine::{Confined, Identity, confine, confine_unprivileged};
pub use process::detach::{Starting, detach};
pub use process::inherit::{Inherited, keep, strangers};
pub use process::rights::{Access, limit, restrict_monitor};
pub use process::{EMPTY_DIR, Root, allow_files, default_root, syslog};
/// The fastest [`udp::Mover`] of this system.
pub use sys::Mover as FastMover;
/// What keeps [`Endpoint::set_receive_buffer`] from granting more.
pub use sys::RECEIVE_BUFFER_LIMIT;
pub use udp::{Endpoint, PairSockets, open_pairs};

/// The fastest [`UdpPair`] of this system, or the plain one with the feature `plain-udp`.
#[cfg(not(feature = "plain-udp"))]
pub type Udp = udp::SocketPair<FastMover>;
/// The plain [`UdpPair`], because the feature `plain-udp` asks for it.
#[cfg(feature = "plain-udp")]
pub type Udp = udp::SocketPair<udp::Plain>;

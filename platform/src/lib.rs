//! What the server asks of an operating system, as two contracts, and the only unsafe code of the project.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`contract`] | `UdpPair`, `RawIcmp6` and the values that they pass: what the server is written against |
//! | [`udp`] | the two UDP sockets: opening them, moving datagrams one or many a call, room for what arrives |
//! | [`echo`] | the ways out to native IPv6: a raw socket, a tunnel device |
//! | [`accelerator`] | a program in the network driver that answers and drops datagrams early |
//! | [`process`] | the life of a process: what it inherits, how it detaches, what it gives up, and the proof |
//! | `system` | what each operating system does in its own way |
//! | [`host`] | this host's addresses and the networks that it is attached to |
//! | [`error`] | errors that name call and object |
//! | `socket_option` | socket options that no crate knows |
//! | [`fake`] | both contracts in memory, for tests: records, loses, delays, answers would-block |
//!
//! Nothing imports upwards: `contract` and `error` stand at the bottom and import nothing of the crate; `process` uses them,
//! `udp` and `echo` use those; what these three need of a system is a trait of theirs, which `system` implements.
//!
//! Start-up in order: [`udp::Endpoint::open`] and [`echo::Raw::open`] as root; [`confine`]; then, and not before, what starts
//! threads: [`udp::SocketPair::new`].
//!
//! # A new system
//! supplies one module, named after it, chosen in `system`, which implements for [`Here`]
//! - [`UdpSystem`]: its fastest way to move datagrams, room for what arrives, and, where they differ from any other Unix,
//!   sockets without the DF bit that share a port by load, what the kernel tells of queues and drops, and whether EWOULDBLOCK is
//!   worth another try;
//! - [`echo::EchoSystem`]: a raw socket that sends from an address which is not the host's; or nothing but the type
//!   [`echo::tunnel::Tunnel`];
//! - [`echo::tunnel::TunnelSystem`]: a tunnel device, the command that brings its interface up, what goes before each packet,
//!   and whether the host forwards IPv6;
//! - [`process::confine::Privileges`]: what privilege it knows beside ids, given up for good and read back;
//! - [`process::lock_down::LockDown`]: what it can forbid a process whose threads all run;
//! - [`process::open_descriptors::Descriptors`]: which descriptors are open, if it tells;
//! - [`process::rights::Rights`]: rights of a descriptor, if it has them;
//! - [`accelerator::Accelerator`]: a program in the network driver, if it has one;
//! - [`process::file_lock::FileLock`]: the lock of fcntl(2), if flock(2) does not see it;
//!
//! and its row in `process::ids`.

pub mod accelerator;
pub mod contract;
pub mod echo;
pub mod error;
pub mod fake;
pub mod host;
pub mod process;
#[cfg(any(
    target_os = "linux",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
mod socket_option;
mod system;
pub mod udp;

pub use contract::{
    BATCH, DATAGRAM_MAX, Icmp6, Inbox, Outbox, Outgoing, Progress, REPLY_MAX, RawIcmp6, Received,
    SendReport, UdpPair, Via,
};
pub use echo::EchoPath;
pub use error::OsError;
pub use host::{Assigned, Attached, HostAddresses, host_addresses};
pub use process::confine::{Confined, Identity, change_user};
pub use process::detach::Starting;
pub use process::inherit::{Inherited, keep};
pub use process::lock_down::{Alarm, Work};
pub use process::pass::{receive_descriptor, send_descriptor};
pub use process::rights::Access;
pub use process::{EMPTY_DIR, RootDirectory, allow_files, default_root, syslog};
#[cfg(has_xdp)]
pub use system::xdp;
pub use system::{
    Here, confine, confine_unprivileged, detach, limit, lock_down, lock_file, may_create,
    restrict_monitor, take_inherited,
};
pub use udp::{NeighbourShare, PairSockets, UdpSystem};

/// The sockets of one address on this system.
pub type Endpoint = udp::Endpoint<Here>;

/// The ways out to native IPv6 of this system.
pub type Raw = echo::Raw<Here>;

/// The fastest [`udp::Mover`] of this system.
pub type FastMover = <Here as UdpSystem>::Mover;

/// The fastest [`UdpPair`] of this system, or the plain one with the feature `plain-udp`.
#[cfg(not(feature = "plain-udp"))]
pub type Udp = udp::SocketPair<Here>;
/// The plain [`UdpPair`], because the feature `plain-udp` asks for it.
#[cfg(feature = "plain-udp")]
pub type Udp = udp::SocketPair<Here, udp::Plain>;

/// What keeps [`udp::Endpoint::set_receive_buffer`] from granting more.
pub const RECEIVE_BUFFER_LIMIT: &str = Here::RECEIVE_BUFFER_LIMIT;

/// The command that lists the UDP sockets of this system and who has them.
pub const LIST_SOCKETS: &str = Here::LIST_SOCKETS;

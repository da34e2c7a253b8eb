//! The ways out to the native IPv6 Internet, as descriptors that can be passed on.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::time::Instant;

#[cfg(any(
    all(test, target_os = "linux"),
    target_os = "freebsd",
    target_os = "openbsd"
))]
pub(crate) mod control_message;
#[cfg(any(target_os = "freebsd", target_os = "openbsd"))]
pub(crate) mod icmp6_socket;
pub(crate) mod ipv6_header;
mod neighbours;
pub mod tunnel;

use crate::contract::{Icmp6, Progress, RawIcmp6};
use crate::error::OsError;
use crate::host::Attached;
use crate::process::rights::Rights;
use neighbours::Pace;
use tunnel::{Tunnel, TunnelSystem};

/// How ICMPv6 with a client's source leaves this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EchoPath {
    /// The system's best: a raw socket if it can carry a foreign source (Linux, FreeBSD, OpenBSD), else a tunnel device.
    #[default]
    Native,
    /// A tunnel device, from which the host forwards: what leaves passes its packet filter and its routes as from
    /// a neighbour.
    Tunnel,
}

/// What a system does in its own way about raw sockets of ICMPv6. One that has none for a foreign source leaves all of it
/// out but the type, [`Tunnel`].
pub trait EchoSystem: TunnelSystem + Rights {
    /// Sends through what [`EchoSystem::open_raw`] opened.
    type RawSocket: RawIcmp6 + From<OwnedFd>;

    /// Whether the native way is a tunnel device.
    const RAW_IS_TUNNEL: bool = true;

    /// Opens a socket that sends from an address which is not the host's, with what that needs of root.
    ///
    /// # Errors
    /// As of [`Raw::open`].
    fn open_raw() -> Result<OwnedFd, OsError> {
        tunnel::open::<Self>()
    }

    /// One more of them, for another thread. By default another descriptor of the same.
    ///
    /// # Errors
    /// As of [`Raw::share`].
    fn share_raw(raw: &OwnedFd) -> Result<OwnedFd, OsError> {
        duplicate(raw)
    }

    /// Whether `raw` may send to a neighbour now, who may be absent, without risk that what waits for such fills the socket and
    /// nothing leaves for anybody. By default it may, which wants a kernel that itself bounds what waits.
    fn admits_neighbours(_: &Self::RawSocket) -> bool {
        true
    }

    /// Whether this process may still open a way out to native IPv6.
    ///
    /// # Errors
    /// That it has promised not to.
    fn may_open() -> Result<(), OsError> {
        Ok(())
    }
}

/// Sends ICMPv6 in whichever way its descriptor was opened. Use it as [`crate::Raw`].
pub struct Raw<S: EchoSystem> {
    opened: Opened<S>,
    attached: Attached,
    /// For neighbours, through a tunnel.
    pace: Pace,
}

enum Opened<S: EchoSystem> {
    Socket(S::RawSocket),
    Tunnel(Tunnel<S>),
}

impl<S: EchoSystem> Raw<S> {
    /// Opens what a [`Raw`] sends through. Needs root, on Linux CAP_NET_RAW or for a tunnel CAP_NET_ADMIN; the descriptor
    /// needs neither afterwards.
    ///
    /// # Errors
    /// `socket` or `open`, mostly for want of privilege, and what else the path takes. On OpenBSD always after
    /// [`restrict_monitor`](crate::restrict_monitor).
    pub fn open(path: EchoPath) -> Result<OwnedFd, OsError> {
        S::may_open()?;
        match path {
            EchoPath::Native => S::open_raw(),
            EchoPath::Tunnel => tunnel::open::<S>(),
        }
    }

    /// Whether the host is set up to carry what leaves this way: a tunnel wants it to forward IPv6. It may be set up later.
    ///
    /// # Errors
    /// Says which setting is missing, and the command for it. Nothing where this process may not ask: see [`Raw::open`].
    pub fn check(path: EchoPath) -> Result<(), OsError> {
        if S::may_open().is_err() {
            return Ok(());
        }
        match (path, S::RAW_IS_TUNNEL) {
            (EchoPath::Native, false) => Ok(()),
            (EchoPath::Tunnel, _) | (EchoPath::Native, true) => tunnel::check_forwarding::<S>(),
        }
    }

    /// A descriptor like `raw` for one more thread or process, to be called with root's privilege. It is the same one where
    /// a message is sent by one call; a socket of its own on OpenBSD, where the source is set by another call before.
    ///
    /// # Errors
    /// `dup`, or as of [`Raw::open`].
    pub fn share(raw: &OwnedFd) -> Result<OwnedFd, OsError> {
        match is_device(raw)? {
            true => duplicate(raw),
            false => S::share_raw(raw),
        }
    }

    /// Takes a descriptor from [`Raw::open`] or [`Raw::share`], and the rights of it that it does not use. What goes to an
    /// `attached` network is held to a share of a socket's send buffer ([`EchoSystem::admits_neighbours`]), or, through a tunnel,
    /// to a pace that all `threads` share.
    ///
    /// # Errors
    /// `fstat`, and as of [`Rights::limit`].
    pub fn new(raw: OwnedFd, attached: Attached, threads: usize) -> Result<Self, OsError> {
        let device = is_device(&raw)?;
        S::limit(&raw)?;
        let opened = match device {
            true => Opened::Tunnel(Tunnel::from(raw)),
            false => Opened::Socket(raw.into()),
        };
        Ok(Self {
            opened,
            attached,
            pace: Pace::of(threads),
        })
    }
}

impl<S: EchoSystem> RawIcmp6 for Raw<S> {
    fn send(&mut self, message: &Icmp6<'_>) -> io::Result<Progress> {
        match &mut self.opened {
            Opened::Socket(socket) => {
                if self.attached.contains(message.destination) && !S::admits_neighbours(socket) {
                    return Ok(Progress::WouldBlock);
                }
                socket.send(message)
            }
            Opened::Tunnel(tunnel) => {
                if self.attached.contains(message.destination) && !self.pace.admits(Instant::now())
                {
                    return Ok(Progress::WouldBlock);
                }
                tunnel.send(message)
            }
        }
    }
}

fn duplicate(raw: &OwnedFd) -> Result<OwnedFd, OsError> {
    raw.try_clone()
        .map_err(|error| OsError::new("dup", "raw IPv6", error))
}

/// Tells the two ways apart. A utun of macOS is a socket, and the only way there.
fn is_device(raw: &OwnedFd) -> Result<bool, OsError> {
    let stat = duplicate(raw).and_then(|raw| {
        File::from(raw)
            .metadata()
            .map_err(|error| OsError::new("fstat", "raw IPv6", error))
    })?;
    Ok(stat.file_type().is_char_device())
}

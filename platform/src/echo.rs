//! The ways out to the native IPv6 Internet, as descriptors that can be passed on.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;

#[cfg(any(
    all(test, target_os = "linux"),
    target_os = "freebsd",
    target_os = "openbsd"
))]
pub(crate) mod control_message;
#[cfg(any(target_os = "freebsd", target_os = "openbsd"))]
pub(crate) mod icmp6_socket;
pub(crate) mod ipv6_header;
pub(crate) mod tunnel;

use crate::process::rights::{self, limit};
use crate::{Icmp6, OsError, Progress, RawIcmp6, sys};
use tunnel::Tunnel;

/// How ICMPv6 with a client's source leaves this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// The system's best: a raw socket if it can carry a foreign source (Linux, FreeBSD, OpenBSD), else a tunnel device.
    #[default]
    Native,
    /// A tunnel device, from which the host forwards: what leaves passes its packet filter and its routes as from
    /// a neighbour.
    Tunnel,
}

/// Opens what [`Raw`] sends through. Needs root, on Linux CAP_NET_RAW or for a tunnel CAP_NET_ADMIN; the descriptor
/// needs neither afterwards.
///
/// # Errors
/// `socket` or `open`, mostly for want of privilege, and what else the way takes. On OpenBSD always after
/// [`restrict_monitor`](crate::restrict_monitor).
pub fn open_raw(way: Way) -> Result<OwnedFd, OsError> {
    rights::may_open_raw()?;
    match way {
        Way::Native => sys::open_raw(),
        Way::Tunnel => tunnel::open(),
    }
}

/// Whether the host is set up to carry what leaves this way: a tunnel wants it to forward IPv6. It may be set up later.
///
/// # Errors
/// Says which setting is missing, and the command for it. Nothing where this process may not ask: see [`open_raw`].
pub fn check_raw(way: Way) -> Result<(), OsError> {
    if rights::may_open_raw().is_err() {
        return Ok(());
    }
    match (way, sys::RAW_IS_TUNNEL) {
        (Way::Native, false) => Ok(()),
        (Way::Tunnel, _) | (Way::Native, true) => tunnel::check_forwarding(),
    }
}

/// A descriptor like `raw` for one more thread or process, to be called with root's privilege. It is the same one where
/// a message is sent by one call; a socket of its own on OpenBSD, where the source is set by another call before.
///
/// # Errors
/// `dup`, or as of [`open_raw`].
pub fn share_raw(raw: &OwnedFd) -> Result<OwnedFd, OsError> {
    match is_device(raw)? {
        true => duplicate(raw),
        false => sys::share_raw(raw),
    }
}

/// Sends ICMPv6 in whichever way its descriptor was opened.
pub struct Raw(Opened);

enum Opened {
    Socket(sys::RawSocket),
    Tunnel(Tunnel),
}

impl Raw {
    /// Takes a descriptor from [`open_raw`] or [`share_raw`], and the rights of it that it does not use.
    ///
    /// # Errors
    /// `fstat`, and as of [`limit()`].
    pub fn new(raw: OwnedFd) -> Result<Self, OsError> {
        let device = is_device(&raw)?;
        limit(&raw)?;
        Ok(Self(match device {
            true => Opened::Tunnel(Tunnel::from(raw)),
            false => Opened::Socket(raw.into()),
        }))
    }
}

impl RawIcmp6 for Raw {
    fn send(&mut self, message: &Icmp6<'_>) -> io::Result<Progress> {
        match &mut self.0 {
            Opened::Socket(socket) => socket.send(message),
            Opened::Tunnel(tunnel) => tunnel.send(message),
        }
    }
}

pub(crate) fn duplicate(raw: &OwnedFd) -> Result<OwnedFd, OsError> {
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

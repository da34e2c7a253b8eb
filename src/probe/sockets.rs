//! The sockets of the probe, and the wait for what comes: all that it asks of the system.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use platform::OsError;

use super::question::{Port, Target, Transmit};
use super::verdict::Local;
use crate::wire::TEREDO_PORT;

/// Largest datagram in bytes that is looked at whole. What is longer is no answer to anything that was asked.
pub const DATAGRAM_MAX: usize = 2048;

/// The probe's sockets towards one server, all from one address.
#[derive(Debug)]
pub struct Sockets {
    service: UdpSocket,
    other: UdpSocket,
    /// What hears refusals; without one, where the system does not even let it connect.
    connected: [Option<UdpSocket>; 2],
    local: Local,
}

/// What one of the sockets had to tell.
#[derive(Debug)]
pub enum Heard {
    /// A datagram: its sender and its length.
    Datagram(SocketAddrV4, usize),
    /// ICMP said that nobody listens.
    Refused,
    /// Nothing, for now.
    Nothing,
}

impl Sockets {
    /// Opens them at `source`, the service port being `port`, or another where that is 0.
    ///
    /// Without `source`, at the address that the system takes to reach the server: left to itself, it takes another for
    /// each of the server's addresses where they are of the same host, which would look like a symmetric NAT.
    ///
    /// # Errors
    /// Of bind(2) and connect(2).
    pub fn open(target: &Target, source: Option<Ipv4Addr>, port: u16) -> Result<Self, OsError> {
        let source = match source {
            Some(source) => source,
            None => towards(target.primary)?,
        };
        let (service, service_at) = bind(source, port)?;
        let (other, other_at) = bind(source, 0)?;
        let connected = [Some(target.primary), target.secondary].map(|address| {
            let (socket, _) = bind(source, 0).ok()?;
            socket.connect((address?, TEREDO_PORT)).ok()?;
            Some(socket)
        });
        Ok(Self {
            service,
            other,
            connected,
            local: Local {
                service: service_at,
                other: other_at,
            },
        })
    }

    /// The local ends.
    #[must_use]
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// Of sendto(2).
    pub fn send(&self, datagram: &Transmit) -> Result<(), OsError> {
        let sent = match datagram.port {
            Port::Service => self.service.send_to(&datagram.bytes, datagram.to),
            Port::Other => self.other.send_to(&datagram.bytes, datagram.to),
            Port::ToPrimary | Port::ToSecondary => match self.socket(datagram.port) {
                Some(socket) => socket.send(&datagram.bytes),
                None => return Ok(()),
            },
        };
        match sent {
            // As if it had been lost on the way: it is sent again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(OsError::new("send", datagram.to, error)),
            Ok(_) => Ok(()),
        }
    }

    /// Takes what waits at `port` into `bytes`.
    #[must_use]
    pub fn receive(&self, port: Port, bytes: &mut [u8]) -> Heard {
        let Some(socket) = self.socket(port) else {
            return Heard::Nothing;
        };
        loop {
            match socket.recv_from(bytes) {
                Ok((len, SocketAddr::V4(from))) => return Heard::Datagram(from, len),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::ConnectionRefused => return Heard::Refused,
                    io::ErrorKind::Interrupted => {}
                    // A failure of the moment, or nothing has arrived. Who asks judges silence.
                    _ => return Heard::Nothing,
                },
            }
        }
    }

    /// The descriptors of all of them, to wait for.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let sockets = Port::ALL.into_iter();
        sockets.filter_map(|port| self.socket(port).map(AsFd::as_fd))
    }

    fn socket(&self, port: Port) -> Option<&UdpSocket> {
        let [to_primary, to_secondary] = &self.connected;
        match port {
            Port::Service => Some(&self.service),
            Port::Other => Some(&self.other),
            Port::ToPrimary => to_primary.as_ref(),
            Port::ToSecondary => to_secondary.as_ref(),
        }
    }
}

/// Waits until one of the descriptors has something, or until `until`.
///
/// # Errors
/// Of poll(2).
pub fn wait<'a>(
    descriptors: impl Iterator<Item = BorrowedFd<'a>>,
    until: Instant,
) -> Result<(), OsError> {
    let mut waited: Vec<PollFd<'_>> = descriptors
        .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
        .collect();
    let rest = until.saturating_duration_since(Instant::now());
    // Up, not down: else the last millisecond is spent asking again and again.
    let rest = rest.saturating_add(Duration::from_micros(999)).as_millis();
    let timeout = i32::try_from(rest).unwrap_or(i32::MAX);
    let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
    match poll(&mut waited, timeout) {
        // A signal: whoever waits looks for it, and comes back.
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(OsError::new("poll", "", error)),
    }
}

/// The local address of a way to `server`.
fn towards(server: Ipv4Addr) -> Result<Ipv4Addr, OsError> {
    let (socket, _) = bind(Ipv4Addr::UNSPECIFIED, 0)?;
    socket
        .connect((server, TEREDO_PORT))
        .map_err(|error| OsError::new("connect", server, error))?;
    Ok(*local(&socket)?.ip())
}

fn bind(address: Ipv4Addr, port: u16) -> Result<(UdpSocket, SocketAddrV4), OsError> {
    let at = SocketAddrV4::new(address, port);
    let socket = UdpSocket::bind(at).map_err(|error| OsError::new("bind", at, error))?;
    socket
        .set_nonblocking(true)
        .map_err(|error| OsError::new("fcntl", at, error))?;
    let local = local(&socket)?;
    Ok((socket, local))
}

fn local(socket: &UdpSocket) -> Result<SocketAddrV4, OsError> {
    match socket.local_addr() {
        Ok(SocketAddr::V4(address)) => Ok(address),
        Ok(SocketAddr::V6(_)) => Err(OsError::refused("getsockname", "", "not IPv4")),
        Err(error) => Err(OsError::new("getsockname", "", error)),
    }
}

//! Opening the UDP sockets, and what a system does there in its own way.

use std::io;
use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{Mover, Queues};
use crate::error::OsError;
use crate::process::rights::Rights;

/// What a system does in its own way about UDP sockets. What it leaves out is done as on any Unix.
pub trait UdpSystem: Rights + Sized {
    /// The fastest way to move datagrams, at worst [`Plain`](super::Plain).
    type Mover: Mover;

    /// How often the datagrams of one [`Outbox`](crate::Outbox) that leave by one socket are tried again in all when the kernel
    /// says EWOULDBLOCK. By default often, since most kernels say it while another thread sends from the same socket, although
    /// there is room: `sosend` of OpenBSD and NetBSD (sys/kern/uipc_socket.c) and of xnu (bsd/kern/uipc_socket.c) by `sblock`.
    const SEND_RETRIES: usize = 1000;

    /// What keeps [`UdpSystem::set_receive_buffer`] from granting more, as the administrator calls it.
    const RECEIVE_BUFFER_LIMIT: &'static str;
    /// The command that lists the sockets of UDP and who has them.
    const LIST_SOCKETS: &'static str;

    /// Lets the socket hold `bytes` of what has arrived, or as much of that as the system grants, in bytes.
    ///
    /// # Errors
    /// `setsockopt` or `getsockopt`.
    fn set_receive_buffer(socket: &OwnedFd, bytes: u32) -> io::Result<u32>;

    /// Has the socket send without the DF bit. By default it does so already.
    ///
    /// # Errors
    /// `setsockopt`.
    fn clear_dont_fragment(_: &Socket) -> io::Result<()> {
        Ok(())
    }

    /// Has the socket remember that it dropped datagrams for want of room, to tell [`UdpSystem::overflowed`] or a call that
    /// receives, which then fails with ENOBUFS. By default it does not.
    ///
    /// # Errors
    /// `setsockopt`.
    fn remember_drops(_: &Socket) -> io::Result<()> {
        Ok(())
    }

    /// Whether `socket` has dropped datagrams since it last told. By default nobody knows.
    fn overflowed(_: BorrowedFd<'_>) -> bool {
        false
    }

    /// What waits in the queues of `socket` and how much was dropped there, where the system tells. By default it does not, and
    /// nothing is held back from neighbours. It need not be where what waits for an absent one is bounded and not charged to the
    /// socket: `sosend` and `sosend_dgram` hand all of a datagram to the protocol (sys/kern/uipc_socket.c), FreeBSD keeps
    /// net.link.ether.inet.maxhold packets for each address, OpenBSD ten and 100 in all (`arpresolve`, sys/netinet/if_ether.c of
    /// both).
    fn queues(_: BorrowedFd<'_>) -> Option<Queues> {
        None
    }

    /// The first socket on `address`, which shares its port with nobody, so that a server that already runs is noticed.
    ///
    /// # Errors
    /// As of [`Endpoint::open`].
    fn open_first(address: SocketAddrV4) -> Result<Socket, OsError> {
        open_alone::<Self>(address)
    }

    /// One more socket on the address of `first`, among which the kernel spreads datagrams if it can. By default another
    /// descriptor of the same socket.
    ///
    /// # Errors
    /// As of [`Endpoint::open`].
    fn open_beside(first: &OwnedFd, address: SocketAddrV4) -> Result<OwnedFd, OsError> {
        duplicate(first, address)
    }
}

/// The sockets of one worker thread, bound and ready. Plain descriptors, so that they can be passed on.
#[derive(Debug)]
pub struct PairSockets {
    /// Bound to the primary address.
    pub primary: OwnedFd,
    /// Bound to the secondary address; nothing in one-address mode.
    pub secondary: Option<OwnedFd>,
}

impl PairSockets {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        1_usize.saturating_add(self.secondary.iter().count())
    }
}

/// The sockets of one address. The kernel spreads what arrives among them where the system can; elsewhere they are
/// duplicates of one.
#[derive(Debug)]
pub struct Endpoint<S> {
    address: SocketAddrV4,
    sockets: Vec<OwnedFd>,
    system: PhantomData<S>,
}

impl<S: UdpSystem> Endpoint<S> {
    /// Opens `count` sockets, each non-blocking, closed on exec, and sending without the DF bit (RFC 4380 section
    /// 5.1.2). The first shares the port with nobody while it is bound, so that a server that already runs is noticed.
    /// With port 0, for tests, the system picks one.
    ///
    /// # Errors
    /// `socket`, `setsockopt` or `bind`, with the address.
    pub fn open(address: SocketAddrV4, count: NonZeroUsize) -> Result<Self, OsError> {
        let first = S::open_first(address)?;
        let address = local_address(&first).unwrap_or(address);
        Self::of(address, vec![first.into()]).grown(count)
    }

    /// The same address with `count` sockets: duplicates of those here, with all that is queued in them, and new ones
    /// beside them. Where `count` is less, what is queued in the last ones is lost when these close.
    ///
    /// # Errors
    /// `dup`, or as of [`Endpoint::open`].
    pub fn resized(&self, count: NonZeroUsize) -> Result<Self, OsError> {
        let address = self.address;
        let kept = self.sockets.iter().take(count.get());
        let sockets = kept.map(|socket| duplicate(socket, address));
        let sockets = sockets.collect::<Result<_, _>>()?;
        Self::of(address, sockets).grown(count)
    }

    /// Lets each socket hold `bytes` of what has arrived, or as much of that as the system grants: the least that one of
    /// them got, in bytes. Sockets that other processes hold too change there as well.
    ///
    /// # Errors
    /// `setsockopt` or `getsockopt`, with the address.
    pub fn set_receive_buffer(&self, bytes: u32) -> Result<u32, OsError> {
        let failed = |error| OsError::new("setsockopt SO_RCVBUF", self.address, error);
        self.sockets.iter().try_fold(u32::MAX, |least, socket| {
            let granted = S::set_receive_buffer(socket, bytes).map_err(failed)?;
            Ok(least.min(granted))
        })
    }

    /// The address and port.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// The sockets, at least one.
    pub fn sockets(&self) -> &[OwnedFd] {
        &self.sockets
    }

    /// Opens `count` pairs of sockets on the same two addresses, as [`Endpoint::open`] does, for one process that both
    /// opens and serves. With port 0 both addresses have the same one.
    ///
    /// # Errors
    /// As of [`Endpoint::open`].
    pub fn open_pairs(
        primary: Ipv4Addr,
        secondary: Option<Ipv4Addr>,
        port: u16,
        count: NonZeroUsize,
    ) -> Result<Vec<PairSockets>, OsError> {
        let primary = Self::open(SocketAddrV4::new(primary, port), count)?;
        let port = primary.address.port();
        let secondary = secondary.map(|ip| Self::open(SocketAddrV4::new(ip, port), count));
        let mut secondaries = secondary
            .transpose()?
            .into_iter()
            .flat_map(|end| end.sockets);
        let pair = |primary| PairSockets {
            primary,
            secondary: secondaries.next(),
        };
        Ok(primary.sockets.into_iter().map(pair).collect())
    }

    fn of(address: SocketAddrV4, sockets: Vec<OwnedFd>) -> Self {
        Self {
            address,
            sockets,
            system: PhantomData,
        }
    }

    fn grown(mut self, count: NonZeroUsize) -> Result<Self, OsError> {
        while self.sockets.len() < count.get()
            && let Some(first) = self.sockets.first()
        {
            let another = S::open_beside(first, self.address)?;
            self.sockets.push(another);
        }
        Ok(self)
    }
}

/// A socket as [`Endpoint::open`] promises them, still unbound.
pub(crate) fn socket<S: UdpSystem>(address: SocketAddrV4) -> Result<Socket, OsError> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))
        .map_err(|error| OsError::new("socket", address, error))?;
    socket
        .set_nonblocking(true)
        .map_err(|error| OsError::new("fcntl O_NONBLOCK", address, error))?;
    S::clear_dont_fragment(&socket)
        .map_err(|error| OsError::new("setsockopt DF", address, error))?;
    S::remember_drops(&socket)
        .map_err(|error| OsError::new("setsockopt SO_RERROR", address, error))?;
    Ok(socket)
}

/// A socket that shares its address with nobody.
pub(crate) fn open_alone<S: UdpSystem>(address: SocketAddrV4) -> Result<Socket, OsError> {
    let socket = socket::<S>(address)?;
    bind(&socket, address)?;
    Ok(socket)
}

/// Binds `socket`.
pub(crate) fn bind(socket: &Socket, address: SocketAddrV4) -> Result<(), OsError> {
    socket
        .bind(&address.into())
        .map_err(|error| OsError::new("bind", address, error))
}

/// Another descriptor of the same socket: all that a system has to offer beside the first which cannot spread datagrams
/// among sockets.
pub(crate) fn duplicate(socket: &OwnedFd, address: SocketAddrV4) -> Result<OwnedFd, OsError> {
    socket
        .try_clone()
        .map_err(|error| OsError::new("dup", address, error))
}

pub(crate) fn local_address(socket: &impl AsFd) -> Option<SocketAddrV4> {
    SockRef::from(&socket.as_fd())
        .local_addr()
        .ok()?
        .as_socket_ipv4()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Endpoint = super::Endpoint<crate::system::Here>;

    #[test]
    fn an_endpoint_grows_and_shrinks_around_the_same_sockets() {
        let count = |count| NonZeroUsize::new(count).unwrap();
        let two = Endpoint::open(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0), count(2)).unwrap();
        for (size, sockets) in [(1, 1), (2, 2), (3, 3)] {
            let other = two.resized(count(size)).unwrap();
            assert_eq!(other.sockets().len(), sockets);
            assert_eq!(other.address(), two.address());
            for socket in other.sockets() {
                assert_eq!(local_address(socket), Some(two.address()));
            }
        }
    }

    #[test]
    fn a_receive_buffer_is_what_was_granted() {
        let endpoint = Endpoint::open(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0), NonZeroUsize::MIN);
        let endpoint = endpoint.unwrap();
        let held = |endpoint: &Endpoint| {
            let held = |socket| SockRef::from(socket).recv_buffer_size().unwrap();
            // Linux doubles what it is told: socket(7).
            let times = if cfg!(target_os = "linux") { 2 } else { 1 };
            let held = endpoint.sockets().iter().map(held);
            held.map(|bytes| u32::try_from(bytes / times).unwrap())
                .collect::<Vec<_>>()
        };
        for wanted in [65_536, 131_072, 1 << 30] {
            let granted = endpoint.set_receive_buffer(wanted).unwrap();
            assert!(
                held(&endpoint) == [granted] && granted <= wanted,
                "{granted} of {wanted}"
            );
        }
        // Those that stay and those that come, for all who hold them.
        let more = endpoint.resized(NonZeroUsize::new(2).unwrap()).unwrap();
        assert_eq!(more.set_receive_buffer(65_536).unwrap(), 65_536);
        assert_eq!(held(&endpoint), [65_536]);
        assert_eq!(held(&more), [65_536; 2]);
    }

    #[test]
    fn a_duplicate_is_the_same_socket() {
        let endpoint = Endpoint::open(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0), NonZeroUsize::MIN);
        let endpoint = endpoint.unwrap();
        let copy = duplicate(&endpoint.sockets()[0], endpoint.address()).unwrap();
        let copy = std::net::UdpSocket::from(copy);
        // Elsewhere than on Linux it takes its time, even to this host.
        copy.set_nonblocking(false).unwrap();
        copy.set_read_timeout(Some(std::time::Duration::from_secs(10)))
            .unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(&[7], endpoint.address()).unwrap();
        let mut buffer = [0];
        assert_eq!(copy.recv(&mut buffer).unwrap(), 1);
        assert_eq!(buffer, [7]);
    }
}

//! The socket that listens for whoever collects metrics. The monitor opens it; an exporter accepts at it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

use platform::OsError;
use socket2::{Domain, SockRef, Socket, Type};

use crate::daemon::Fault;
use crate::daemon::plan::Plan;

/// Clients that may wait in the queue of the system.
const QUEUE: i32 = 32;

/// A socket that listens for whoever collects metrics.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    socket: TcpListener,
}

impl Listener {
    /// Binds the one of a plan, if it has one. Until it [listens](Listener::listen), connections are refused.
    ///
    /// # Errors
    /// Of socket(2), setsockopt(2) and bind(2), with the address.
    pub fn of_plan(plan: &Plan) -> Result<Option<Self>, Fault> {
        let listener = plan.service.metrics.map(Self::open).transpose();
        listener.map_err(Fault::from)
    }

    /// The one of another plan, or none, unless that is where this one is.
    ///
    /// # Errors
    /// Those of [`Listener::of_plan`].
    pub fn adapt(current: Option<SocketAddr>, plan: &Plan) -> Result<Option<Option<Self>>, Fault> {
        match current == plan.service.metrics {
            true => Ok(None),
            false => Self::of_plan(plan).map(Some),
        }
    }

    /// Has it listen.
    ///
    /// # Errors
    /// Of listen(2), which may be the first to tell that another process has the address.
    pub fn listen(self) -> Result<Self, Fault> {
        let listening = SockRef::from(&self.socket).listen(QUEUE);
        listening.map_err(|error| with_remedy(OsError::new("listen", self.address, error)))?;
        Ok(self)
    }

    fn open(address: SocketAddr) -> Result<Self, OsError> {
        let failed = |call| move |error| with_remedy(OsError::new(call, address, error));
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None);
        let socket = socket.map_err(failed("socket"))?;
        // Else the connections of a server that has just ended would keep a new one from it.
        let prepared = socket.set_reuse_address(true);
        prepared.map_err(failed("setsockopt SO_REUSEADDR"))?;
        let prepared = socket.set_nonblocking(true);
        prepared.map_err(failed("fcntl O_NONBLOCK"))?;
        socket.bind(&address.into()).map_err(failed("bind"))?;
        let socket = socket.into();
        Ok(Self { address, socket })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What helps where the address cannot be had.
fn with_remedy(error: OsError) -> OsError {
    match error.kind() {
        ErrorKind::AddrNotAvailable => {
            error.remedy("add the address to this host, or correct MetricsAddress")
        }
        ErrorKind::AddrInUse => error.remedy("choose another port in MetricsAddress"),
        ErrorKind::PermissionDenied => {
            error.remedy("choose a port of 1024 or more in MetricsAddress")
        }
        _ => error,
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

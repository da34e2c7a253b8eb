//! What the monitor opens and every worker inherits.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use log::warn;
use platform::{EchoPath, Endpoint, OsError, Raw};

use super::Fault;
use super::plan::Plan;
use crate::conf::ReceiveBuffer;
use crate::wire::TEREDO_PORT;

/// Bytes that a socket may hold unless the configuration says otherwise: more than ten thousand small datagrams on Linux. A flood
/// at one gigabit per second fills it in tens of milliseconds.
const RECEIVE_BUFFER: u32 = 4 << 20;

/// The sockets of the daemon.
#[derive(Debug)]
pub struct Sockets {
    primary: Endpoint,
    secondary: Option<Endpoint>,
    echo_path: EchoPath,
    /// The path to native IPv6; absent in local mode.
    pub raw: Option<OwnedFd>,
}

impl Sockets {
    /// Opens the path to native IPv6, if the plan has one. It is the first to open, because an ordinary user may not.
    ///
    /// # Errors
    /// Those of the system; where privilege is missing, with the remedy.
    pub fn open_raw(plan: &Plan) -> Result<Option<OwnedFd>, Fault> {
        if plan.local {
            return Ok(None);
        }
        if let Err(missing) = Raw::check(plan.service.echo_path) {
            warn!("{missing}");
        }
        Raw::open(plan.service.echo_path)
            .map(Some)
            .map_err(|error| match error.kind() {
                ErrorKind::PermissionDenied => Fault::new(format!(
                    "{error}; --local tries the server on this machine and needs no privilege"
                )),
                _ => error.into(),
            })
    }

    /// Opens all other sockets of the plan.
    ///
    /// # Errors
    /// Those of the system, with the address.
    pub fn open(plan: &Plan, raw: Option<OwnedFd>) -> Result<Self, Fault> {
        let primary = open(plan.addresses.primary.bound, plan)?;
        let secondary = plan
            .addresses
            .secondary
            .map(|address| open(address.bound, plan))
            .transpose()?;
        Ok(Self {
            primary,
            secondary,
            echo_path: plan.service.echo_path,
            raw,
        })
    }

    /// The sockets for another plan: those of addresses that stay, with all that is queued in them, and new ones for new
    /// addresses. `self` does not change.
    ///
    /// # Errors
    /// Those of [`Sockets::open`].
    pub fn adapt(&self, plan: &Plan) -> Result<Self, Fault> {
        let primary = self.endpoint(plan.addresses.primary.bound, plan)?;
        let secondary = plan
            .addresses
            .secondary
            .map(|address| self.endpoint(address.bound, plan))
            .transpose()?;
        let raw = if plan.service.echo_path == self.echo_path {
            let raw = self.raw.as_ref().map(OwnedFd::try_clone).transpose();
            raw.map_err(|error| OsError::new("dup", "raw IPv6", error))?
        } else {
            Self::open_raw(plan)?
        };
        Ok(Self {
            primary,
            secondary,
            echo_path: plan.service.echo_path,
            raw,
        })
    }

    /// For each thread of the worker, its socket on the primary and on the secondary address.
    pub fn pairs(&self) -> impl Iterator<Item = (&OwnedFd, Option<&OwnedFd>)> {
        let mut secondary = self.secondary.iter().flat_map(Endpoint::sockets);
        self.primary
            .sockets()
            .iter()
            .map(move |primary| (primary, secondary.next()))
    }

    /// Gives each socket the receive buffer of the plan, or as much of it as the system grants. It is no part of
    /// [`Sockets::adapt`], because it changes sockets that stay, and a plan that fails must change nothing.
    pub fn set_receive_buffers(&self, plan: &Plan) {
        let (wanted, asked_for) = match plan.service.receive_buffer {
            ReceiveBuffer::Auto => (RECEIVE_BUFFER, false),
            ReceiveBuffer::Bytes(bytes) => (bytes, true),
        };
        let endpoints = [Some(&self.primary), self.secondary.as_ref()];
        for endpoint in endpoints.into_iter().flatten() {
            match endpoint.set_receive_buffer(wanted) {
                Ok(granted) if granted < wanted && asked_for => warn!(
                    "ReceiveBuffer: {} may hold {granted} bytes, not {wanted}: {} is the limit",
                    endpoint.address(),
                    platform::RECEIVE_BUFFER_LIMIT
                ),
                Ok(_) => {}
                // The server works with a small buffer, too.
                Err(error) => warn!("{error}"),
            }
        }
    }

    fn endpoint(&self, address: Ipv4Addr, plan: &Plan) -> Result<Endpoint, Fault> {
        let mut held = [Some(&self.primary), self.secondary.as_ref()]
            .into_iter()
            .flatten();
        let endpoint = match held.find(|endpoint| *endpoint.address().ip() == address) {
            Some(endpoint) => endpoint.resized(plan.threads)?,
            None => open(address, plan)?,
        };
        Ok(endpoint)
    }
}

fn open(address: Ipv4Addr, plan: &Plan) -> Result<Endpoint, Fault> {
    let opened = Endpoint::open(SocketAddrV4::new(address, TEREDO_PORT), plan.threads);
    Ok(opened.map_err(|error| with_remedy(error, address, plan))?)
}

/// What helps where an address cannot be bound: the secondary one may stand in no file, and the port has one usual owner.
fn with_remedy(error: OsError, address: Ipv4Addr, plan: &Plan) -> OsError {
    match error.kind() {
        ErrorKind::AddrNotAvailable if address == plan.addresses.primary.bound => error
            .remedy(
                "add it to this host, or correct ServerBindAddress; behind a 1:1 NAT, name the address \
                 of this host there, and this one with PublicAddress",
            ),
        ErrorKind::AddrNotAvailable => error.remedy(
            "it is the secondary address, by default the one after the primary: add it to this host, \
             or name another with ServerBindAddress2, or none",
        ),
        ErrorKind::AddrInUse => error.remedy(format!(
            "\"{}\" shows whose it is; the service of the C server is miredo-server too",
            platform::LIST_SOCKETS
        )),
        _ => error,
    }
}

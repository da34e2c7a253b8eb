//! What the service manager is told (sd_notify(3)). Without one, `NOTIFY_SOCKET` is not set, and nothing happens.
//!
//! A manager that hangs, or is stopped, reads nothing, and then its socket is full: nobody waits for it here. The crate sd-notify
//! does.

use std::env;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStringExt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use log::warn;
use socket2::{Domain, SockAddr, Socket, Type};

use super::plan::Plan;
use crate::verdict::{Counters, LogLimit};

/// Whether there is a service manager.
pub fn has_manager() -> bool {
    address().is_some()
}

/// The server serves this plan, and has done that. Says whether there was room for it; if not, tell it again.
#[must_use]
pub fn serving(plan: &Plan, counters: &Counters) -> bool {
    notify(&format!("READY=1\n{}", status(plan, counters)))
}

/// The server waits until this host has an address. Nobody who waits for the start has to wait for that. Says the same.
#[must_use]
pub fn waiting(address: Ipv4Addr) -> bool {
    notify(&format!("READY=1\nSTATUS=waiting for {address}\n"))
}

/// The server goes on, and has done that. Says the same.
#[must_use]
pub fn counted(plan: &Plan, counters: &Counters) -> bool {
    notify(&status(plan, counters))
}

/// The server stops.
pub fn stopping() {
    // The manager sees the end of the process, too.
    let _ = notify("STOPPING=1\n");
}

fn status(plan: &Plan, counters: &Counters) -> String {
    format!("STATUS=serving {plan}; {counters}\n")
}

fn address() -> Option<OsString> {
    env::var_os("NOTIFY_SOCKET")
}

fn notify(state: &str) -> bool {
    static SAID: Mutex<LogLimit<1>> = Mutex::new(LogLimit::new());
    let Some(Err(error)) = address().map(|address| send(state, address)) else {
        return true;
    };
    // The server serves all the same. The manager may end it, and this line is why.
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.admits(0, Instant::now()) {
        warn!("cannot tell the service manager: {error}");
    }
    error.kind() != ErrorKind::WouldBlock
}

/// Sends a datagram without waiting for room.
fn send(state: &str, address: OsString) -> io::Result<()> {
    let mut address = address.into_vec();
    // So systemd writes a name of the abstract namespace of Linux (unix(7)).
    if let Some(first) = address.first_mut().filter(|first| **first == b'@') {
        *first = 0;
    }
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    let address = SockAddr::unix(OsString::from_vec(address))?;
    socket.send_to(state.as_bytes(), &address).map(drop)
}

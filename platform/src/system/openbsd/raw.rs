//! Raw ICMPv6 on OpenBSD: the kernel writes the IPv6 header, with the address that the socket is bound to as source.

use std::io::{self, IoSlice};
use std::net::SocketAddrV6;
use std::os::fd::OwnedFd;

use socket2::{MsgHdr, Socket};

use crate::contract::{Icmp6, Progress, RawIcmp6};
use crate::echo::control_message::{ControlMessages, Layout};
use crate::echo::icmp6_socket::{self, IPV6_HOPLIMIT, outcome};
use crate::error::OsError;
use crate::socket_option;

/// Opens what [`RawSocket`] sends through. Every option is set here: under pledge(2) "stdio inet" setting ICMP6_FILTER ends
/// the process (sys/kern/kern_pledge.c, `pledge_sockopt`). SO_BINDANY (getsockopt(2)) needs root.
pub(super) fn open_raw() -> Result<OwnedFd, OsError> {
    let socket = icmp6_socket::socket()?;
    socket_option::set(&socket, libc::SOL_SOCKET, libc::SO_BINDANY, 1)
        .map_err(|error| OsError::new("setsockopt SO_BINDANY", "raw IPv6", error))?;
    Ok(socket.into())
}

/// Sends ICMPv6 through a raw socket.
pub struct RawSocket(Socket);

impl From<OwnedFd> for RawSocket {
    fn from(socket: OwnedFd) -> Self {
        Self(socket.into())
    }
}

impl RawIcmp6 for RawSocket {
    fn send(&mut self, message: &Icmp6<'_>) -> io::Result<Progress> {
        // A bind that fails leaves the source of the message before: nothing may be sent then.
        let source = SocketAddrV6::new(message.source, 0, 0, 0);
        self.0
            .bind(&source.into())
            .map_err(|error| OsError::new("bind", message.source, error))?;
        let hop_limit = libc::c_int::from(message.hop_limit).to_ne_bytes();
        let control =
            ControlMessages::new(Layout::HERE).with(libc::IPPROTO_IPV6, IPV6_HOPLIMIT, &hop_limit);
        let to = SocketAddrV6::new(message.destination, 0, 0, 0).into();
        let parts = [IoSlice::new(message.message)];
        let header = MsgHdr::new()
            .with_addr(&to)
            .with_buffers(&parts)
            .with_control(control.bytes());
        outcome(message, self.0.sendmsg(&header, 0))
    }
}

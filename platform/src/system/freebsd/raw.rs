//! Raw ICMPv6 on FreeBSD: the kernel writes the IPv6 header, from control messages.

use std::io::{self, IoSlice};
use std::net::SocketAddrV6;
use std::os::fd::OwnedFd;

use socket2::{MsgHdr, Socket};

use crate::contract::{Icmp6, Progress, RawIcmp6};
use crate::echo::control_message::{ControlMessages, Layout};
use crate::echo::icmp6_socket::{self, IPV6_HOPLIMIT, ROOT_LACKS, outcome};
use crate::error::OsError;
use crate::socket_option;

/// Opens what [`RawSocket`] sends through. IPV6_BINDANY (ip6(4)) needs root, and lets `in6_selectsrc` (sys/netinet6/in6_src.c)
/// take any source from a control message. bind(2) to one fails all the same: `rip6_bind` does not look at the option. Root of a jail
/// may set it only if the jail has a network stack of its own (`prison_priv_check`, sys/kern/kern_jail.c).
pub(super) fn open_raw() -> Result<OwnedFd, OsError> {
    let socket = icmp6_socket::socket()?;
    socket_option::set(&socket, libc::IPPROTO_IPV6, libc::IPV6_BINDANY, 1).map_err(|error| {
        OsError::new("setsockopt IPV6_BINDANY", "raw IPv6", error)
            .permission("start as root", ROOT_LACKS)
    })?;
    Ok(socket.into())
}

/// Sends ICMPv6 through a raw socket.
pub struct RawSocket(Socket);

impl From<OwnedFd> for RawSocket {
    fn from(socket: OwnedFd) -> Self {
        Self(socket.into())
    }
}

/// struct in6_pktinfo (RFC 3542 section 6): the address, then an interface, where 0 leaves the choice to the routes.
const PKTINFO: usize = 20;
const _: () = assert!(PKTINFO == size_of::<libc::in6_pktinfo>());

impl RawIcmp6 for RawSocket {
    fn send(&mut self, message: &Icmp6<'_>) -> io::Result<Progress> {
        let mut source = [0; PKTINFO];
        if let Some((address, _)) = source.split_first_chunk_mut() {
            *address = message.source.octets();
        }
        let hop_limit = libc::c_int::from(message.hop_limit).to_ne_bytes();
        let control = ControlMessages::new(Layout::HERE)
            .with(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &source)
            .with(libc::IPPROTO_IPV6, IPV6_HOPLIMIT, &hop_limit);
        let to = SocketAddrV6::new(message.destination, 0, 0, 0).into();
        let parts = [IoSlice::new(message.message)];
        let header = MsgHdr::new()
            .with_addr(&to)
            .with_buffers(&parts)
            .with_control(control.bytes());
        outcome(message, self.0.sendmsg(&header, 0))
    }
}

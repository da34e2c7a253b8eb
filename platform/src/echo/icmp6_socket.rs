//! Raw sockets of ICMPv6 on systems whose kernel writes the IPv6 header.

use std::io;

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::contract::{Icmp6, Progress};
use crate::error::{OsError, is_full};
use crate::socket_option;

/// netinet/icmp6.h of the BSDs (RFC 3542 section 3.2); libc has it for none of them.
const ICMP6_FILTER: libc::c_int = 18;

/// netinet6/in6.h of the BSDs; libc has it for FreeBSD alone.
pub(crate) const IPV6_HOPLIMIT: libc::c_int = 47;
#[cfg(target_os = "freebsd")]
const _: () = assert!(IPV6_HOPLIMIT == libc::IPV6_HOPLIMIT);

/// `struct icmp6_filter` with every bit clear lets nothing pass (ICMP6_FILTER_SETBLOCKALL in netinet/icmp6.h).
const PASS_NOTHING: [u8; 32] = [0; 32];

/// What root itself lacks where this is not permitted to it. Without vnet a jail has neither raw sockets, unless it is allowed
/// them, nor IPV6_BINDANY (`prison_priv_check`, sys/kern/kern_jail.c of FreeBSD).
pub(crate) const ROOT_LACKS: &str = if cfg!(target_os = "freebsd") {
    "root of a jail needs vnet and allow.raw_sockets: see jail(8)"
} else {
    "root may not here"
};

/// A socket that collects nothing. Needs root.
pub(crate) fn socket() -> Result<Socket, OsError> {
    let raw_error = |call| move |error| OsError::new(call, "raw IPv6", error);
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).map_err(|error| {
        raw_error("socket")(error)
            .permission("start as root", ROOT_LACKS)
            .without_ipv6()
    })?;
    socket
        .set_nonblocking(true)
        .map_err(raw_error("fcntl O_NONBLOCK"))?;
    socket_option::set_bytes(&socket, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &PASS_NOTHING)
        .map_err(raw_error("setsockopt ICMP6_FILTER"))?;
    Ok(socket)
}

/// What the kernel's answer to a send means.
pub(crate) fn outcome(message: &Icmp6<'_>, sent: io::Result<usize>) -> io::Result<Progress> {
    match sent {
        Ok(_) => Ok(Progress::Moved(1)),
        Err(error)
            if error
                .raw_os_error()
                .map(Errno::from_raw)
                .is_some_and(is_full) =>
        {
            Ok(Progress::WouldBlock)
        }
        Err(error) => Err(OsError::new("send", message.destination, error).into()),
    }
}

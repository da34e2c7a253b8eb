//! What the BSDs and macOS have in common.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::ptr;

use nix::errno::Errno;
use socket2::SockRef;

use crate::udp::receive_buffer::largest;

/// What ip6_input (sys/netinet6/ip6_input.c) looks at, by its name.
pub(super) const FORWARDING: &str = "net.inet6.ip6.forwarding";

/// The same by number: CTL_NET, PF_INET6, IPPROTO_IPV6, IPV6CTL_FORWARDING (netinet6/in6.h of each system). OpenBSD knows
/// sysctl(2) by number alone.
const FORWARDING_MIB: [libc::c_int; 4] = [libc::CTL_NET, libc::PF_INET6, libc::IPPROTO_IPV6, 1];

/// Whether the host forwards IPv6. OpenBSD has a value 2 too, for what IPsec protects alone.
pub(super) fn forwards() -> io::Result<bool> {
    read_int(FORWARDING_MIB).map(|value| value == 1)
}

/// An int of the kernel, by its number for sysctl(2).
pub(super) fn read_int(mut mib: [libc::c_int; 4]) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>();
    // SAFETY: name and length are those of `mib`, value and its length those of an int; nothing is set.
    let outcome = unsafe {
        libc::sysctl(
            mib.as_mut_ptr(),
            4,
            (&raw mut value).cast(),
            &raw mut length,
            ptr::null_mut(),
            0,
        )
    };
    Errno::result(outcome)?;
    Ok(value)
}

/// What a socket's buffer cannot pass. All but OpenBSD leave room in the named number for the mbuf of each cluster (`sb_max_adj`:
/// sys/kern/uipc_sockbuf.c of FreeBSD, sys/kern/uipc_socket2.c of NetBSD and DragonFly, bsd/kern/uipc_socket2.c of xnu), of 256
/// bytes beside 2048, or of 512 on 64-bit NetBSD and DragonFly.
pub(super) const RECEIVE_BUFFER_LIMIT: &str = if cfg!(target_os = "netbsd") {
    "4/5 of kern.sbmax"
} else if cfg!(target_os = "openbsd") {
    "SB_MAX of the kernel"
} else if cfg!(target_os = "dragonfly") {
    "4/5 of kern.ipc.maxsockbuf"
} else {
    "8/9 of kern.ipc.maxsockbuf"
};

/// As much of `bytes` as the system grants.
pub(super) fn set_receive_buffer(socket: &OwnedFd, bytes: u32) -> io::Result<u32> {
    let socket = SockRef::from(socket);
    largest(
        bytes,
        |bytes| socket.set_recv_buffer_size(bytes as usize),
        || Ok(u32::try_from(socket.recv_buffer_size()?).unwrap_or(u32::MAX)),
    )
}

/// ifconfig(8) on `interface`.
pub(super) fn ifconfig(interface: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("/sbin/ifconfig");
    command.arg(interface).args(arguments);
    command
}

/// Brings the interface of a tunnel up with a link-local address: on macOS nothing but an address attaches IPv6 to an interface
/// (`in6_domifattach`, bsd/netinet6/in6_ifattach.c of xnu), and none of the others minds.
#[cfg(not(target_os = "freebsd"))]
pub(super) fn raise(interface: &str) -> Command {
    ifconfig(interface, &["inet6", "fe80::1", "prefixlen", "64", "up"])
}

//! The tunnel device of Linux (Documentation/networking/tuntap.rst of the kernel).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use nix::errno::Errno;

use crate::error::OsError;

const DEVICE: &str = "/dev/net/tun";

/// IFF_NO_PI: nothing before the packet.
pub(super) const FRAME: &[u8] = &[];

/// What ip6_forward (net/ipv6/ip6_output.c) looks at.
pub(super) const FORWARDING: &str = "net.ipv6.conf.all.forwarding";

/// A new device, and the name of its interface, which the kernel picks.
pub(super) fn open_device() -> Result<(OwnedFd, String), OsError> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(DEVICE)
        .map_err(|error| {
            OsError::new("open", DEVICE, error).remedy("load the module tun, and start as root")
        })?;
    let interface = attach(&device).map_err(|error| {
        OsError::new("ioctl TUNSETIFF", DEVICE, error).permission(
            "start as root or with the capability CAP_NET_ADMIN",
            "root lacks the capability CAP_NET_ADMIN here",
        )
    })?;
    Ok((device.into(), interface))
}

pub(super) fn raise(interface: &str) -> Command {
    let mut command = Command::new("/sbin/ip");
    command.args(["link", "set", "dev", interface, "up"]);
    command
}

pub(super) fn forwards() -> io::Result<bool> {
    let path = format!("/proc/sys/{}", FORWARDING.replace('.', "/"));
    Ok(fs::read_to_string(path)?.trim() == "1")
}

fn attach(device: &File) -> nix::Result<String> {
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short,
        },
    };
    // SAFETY: TUNSETIFF reads and writes an ifreq, and this one outlives the call.
    let outcome = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    Errno::result(outcome)?;
    let name = request.ifr_name.iter().take_while(|letter| **letter != 0);
    Ok(name
        .map(|letter| char::from(letter.to_ne_bytes()[0]))
        .collect())
}

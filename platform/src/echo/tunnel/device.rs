//! The tunnel devices of the BSDs, tun(4): /dev/tun0, /dev/tun1, ... each the other end of an interface of that name.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;

use crate::error::OsError;

/// Opens the first device that is free. Opening makes the interface: `tunclone` (FreeBSD, sys/net/if_tuntap.c, with
/// net.link.tun.devfs_cloning=1, the default), `tunopen` (NetBSD, sys/net/if_tun.c), `tun_dev_open` (OpenBSD, sys/net/if_tun.c).
pub(crate) fn open() -> Result<(File, String), OsError> {
    let mut unit = 0_u8;
    loop {
        let name = format!("tun{unit}");
        let path = format!("/dev/{name}");
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path);
        match opened {
            Ok(device) => return Ok((device, name)),
            Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) && unit < u8::MAX => {
                unit = unit.saturating_add(1);
            }
            Err(error) => {
                return Err(OsError::new("open", path, error)
                    .remedy("start as root, and make the device if it is missing: see tun(4)"));
            }
        }
    }
}

/// The same, with the address family before each packet.
#[cfg(not(target_os = "openbsd"))]
pub(crate) fn open_framed() -> Result<(std::os::fd::OwnedFd, String), OsError> {
    use std::os::fd::AsRawFd;

    let (device, name) = open()?;
    let on: libc::c_int = 1;
    // SAFETY: TUNSIFHEAD reads an int, which outlives the call.
    let set = unsafe { tunsifhead(device.as_raw_fd(), &raw const on) };
    set.map_err(|error| OsError::new("ioctl TUNSIFHEAD", &name, error))?;
    Ok((device.into(), name))
}

/// sys/net/if_tun.h of NetBSD.
#[cfg(target_os = "netbsd")]
const TUNSIFHEAD: u8 = 66;

/// sys/net/if_tun.h of FreeBSD, sys/net/tun/if_tun.h of DragonFly.
#[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
const TUNSIFHEAD: u8 = 96;

#[cfg(not(target_os = "openbsd"))]
nix::ioctl_write_ptr!(tunsifhead, b't', TUNSIFHEAD, libc::c_int);

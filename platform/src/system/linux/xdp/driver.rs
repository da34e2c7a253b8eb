//! Which driver an interface has (`ETHTOOL_GDRVINFO`, include/uapi/linux/ethtool.h in the kernel).

use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// `SIOCETHTOOL` (include/uapi/linux/sockios.h).
const ETHTOOL: libc::Ioctl = 0x8946;
/// `ETHTOOL_GDRVINFO`.
const GET_DRIVER: u32 = 3;

/// `struct ethtool_drvinfo`: names of 32 octets, and numbers.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

/// The name of the driver, or of the kind of a virtual interface.
///
/// # Errors
/// Of socket(2); of ioctl(2), where a driver does not tell.
pub(super) fn name(interface: &str) -> io::Result<String> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let mut info = DriverInfo {
        command: GET_DRIVER,
        driver: [0; 32],
        rest: [0; 160],
    };
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: (&raw mut info).cast(),
        },
    };
    // The last octet ends the name.
    let letters = request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1);
    for (letter, octet) in letters.zip(interface.bytes()) {
        *letter = octet as libc::c_char;
    }
    // SAFETY: SIOCETHTOOL with this command reads an ifreq and writes a DriverInfo, and both outlive the call.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), ETHTOOL, &raw mut request) };
    Errno::result(outcome)?;
    let letters = info.driver.iter().take_while(|letter| **letter != 0);
    Ok(letters.map(|letter| char::from(*letter)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loopback has no driver, and an interface that is not there has none either.
    #[test]
    fn what_has_no_driver_is_an_error() {
        name("lo").unwrap_err();
        name("an-interface-that-is-too-long").unwrap_err();
    }
}

//! ICMPv6 through a tunnel device, from which the host forwards it: for systems whose raw sockets cannot carry a foreign
//! source, and wherever it is chosen. The device is written to and never read.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::thread;

use nix::errno::Errno;

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) mod device;

use super::ipv6_header;
use crate::contract::{Icmp6, Progress, RawIcmp6};
use crate::error::{OsError, is_full};

/// What a system does in its own way about tunnel devices.
pub trait TunnelSystem: Sized {
    /// What goes in front of each packet.
    const FRAME: &'static [u8];

    /// The setting that has the host forward IPv6, by its name for sysctl(8).
    const FORWARDING: &'static str;

    /// Opens a tunnel device of its own, non-blocking; with the name of its interface.
    ///
    /// # Errors
    /// `open` or `ioctl`, with the device.
    fn open_device() -> Result<(OwnedFd, String), OsError>;

    /// The command that brings the interface up.
    fn raise(interface: &str) -> Command;

    /// Whether the host forwards IPv6.
    ///
    /// # Errors
    /// Of the system.
    fn forwards() -> io::Result<bool>;
}

/// The four bytes that name the address family before each packet. Network byte order everywhere, as the kernels have it:
/// `tunwrite_l3` (FreeBSD, sys/net/if_tuntap.c), `tun_input` (OpenBSD, sys/net/if_tun.c), `tunwrite` (NetBSD,
/// sys/net/if_tun.c, after TUNSIFHEAD), `utun_ctl_send` (macOS, bsd/net/if_utun.c).
#[cfg(any(test, not(target_os = "linux")))] // Linux is asked to leave them out.
pub(crate) const fn family(family: libc::c_int) -> [u8; 4] {
    family.to_be_bytes()
}

/// How often a packet for which there is no room is tried again. The device of macOS is a socket that the workers share, and
/// `sosend` (bsd/kern/uipc_socket.c of xnu) says EWOULDBLOCK while another thread sends.
const RETRIES: usize = 16;

/// Opens a tunnel device of its own and brings its interface up. Both are gone when the last copy of the descriptor is
/// closed; FreeBSD and NetBSD keep the idle interface.
pub(super) fn open<S: TunnelSystem>() -> Result<OwnedFd, OsError> {
    let (device, interface) = S::open_device()?;
    run(S::raise(&interface))?;
    Ok(device)
}

/// That this host forwards IPv6.
pub(super) fn check_forwarding<S: TunnelSystem>() -> Result<(), OsError> {
    let name = S::FORWARDING;
    match S::forwards() {
        Ok(true) => Ok(()),
        Ok(false) => Err(OsError::refused(
            "sysctl",
            name,
            "this host does not forward IPv6, so echo requests of clients are not sent on",
        )
        .remedy(format!("sysctl -w {name}=1"))),
        Err(error) => Err(OsError::new("sysctl", name, error)),
    }
}

/// Sends ICMPv6 through a tunnel device.
pub struct Tunnel<S>(File, PhantomData<S>);

impl<S> From<OwnedFd> for Tunnel<S> {
    fn from(device: OwnedFd) -> Self {
        Self(device.into(), PhantomData)
    }
}

impl<S: TunnelSystem> RawIcmp6 for Tunnel<S> {
    fn send(&mut self, message: &Icmp6<'_>) -> io::Result<Progress> {
        // Forwarding takes one off. 255, which no echo request has that came from far, leaves as 254.
        let entering = Icmp6 {
            hop_limit: message.hop_limit.saturating_add(1),
            ..*message
        };
        let header = ipv6_header::header(&entering)?;
        let parts = [S::FRAME, &header, message.message].map(IoSlice::new);
        let mut outcome = self.0.write_vectored(&parts);
        for _ in 0..RETRIES {
            match outcome {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
                _ => break,
            }
            outcome = self.0.write_vectored(&parts);
        }
        match outcome {
            Ok(_) => Ok(Progress::Moved(1)),
            Err(error)
                if error
                    .raw_os_error()
                    .map(Errno::from_raw)
                    .is_some_and(is_full) =>
            {
                Ok(Progress::WouldBlock)
            }
            Err(error) => {
                Err(OsError::new("write to tunnel for", message.destination, error).into())
            }
        }
    }
}

/// Runs a command of the system, which must succeed.
fn run(mut command: Command) -> Result<(), OsError> {
    let name = format!("{command:?}");
    let output = command
        .env_clear()
        .output()
        .map_err(|error| OsError::new("run", &name, error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = format!("{}: {}", output.status, said.trim());
    Err(OsError::new("run", &name, io::Error::other(said)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::Here;

    /// AF_INET6 is 24 on OpenBSD and NetBSD, 28 on FreeBSD and DragonFly, 30 on macOS (sys/socket.h of each).
    #[test]
    fn the_family_is_in_network_order() {
        for number in [24, 28, 30] {
            assert_eq!(family(number), [0, 0, 0, number.try_into().unwrap()]);
        }
    }

    #[test]
    fn a_packet_is_one_write_of_frame_header_and_message() {
        let (here, there) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let mut tunnel = Tunnel::<Here>::from(OwnedFd::from(here));
        let message = Icmp6 {
            source: "2001:0:c000:201::1".parse().unwrap(),
            destination: "2001:db8::2".parse().unwrap(),
            hop_limit: 63,
            message: b"message",
        };
        assert_eq!(tunnel.send(&message).unwrap(), Progress::Moved(1));
        let mut packet = [0; 100];
        let length = there.recv(&mut packet).unwrap();
        let entering = Icmp6 {
            hop_limit: 64,
            ..message
        };
        let header = ipv6_header::header(&entering).unwrap();
        let expected = [Here::FRAME, &header, b"message"].concat();
        assert_eq!(packet[..length], expected);
    }

    #[test]
    fn a_command_that_fails_is_told_with_what_it_said() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo no such device >&2; exit 3"]);
        let told = run(command).unwrap_err().to_string();
        assert!(told.ends_with("exit status: 3: no such device"), "{told}");
    }
}

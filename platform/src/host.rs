//! This host's IPv4 addresses, which a server must not send to (RFC 4380 section 5.2.4).

use std::net::Ipv4Addr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

use crate::error::OsError;

/// IPv4 addresses that belong to this host and its networks, sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostAddresses {
    /// Those that interfaces carry, loopback included.
    pub own: Vec<Ipv4Addr>,
    /// The directed broadcasts of the attached networks.
    pub broadcasts: Vec<Ipv4Addr>,
}

/// Asks the system for the addresses of all interfaces, as they are now.
///
/// # Errors
/// `getifaddrs`.
pub fn host_addresses() -> Result<HostAddresses, OsError> {
    let mut addresses = HostAddresses::default();
    for interface in getifaddrs().map_err(|error| OsError::new("getifaddrs", "", error))? {
        let ip = |address: Option<SockaddrStorage>| Some(address?.as_sockaddr_in()?.ip());
        let Some(own) = ip(interface.address) else {
            continue;
        };
        addresses.own.push(own);
        if interface.flags.contains(InterfaceFlags::IFF_BROADCAST) {
            addresses.broadcasts.extend(if cfg!(target_os = "linux") {
                by_mask(own, ip(interface.netmask))
            } else {
                by_field(own, ip(interface.broadcast))
            });
        }
    }
    for list in [&mut addresses.own, &mut addresses.broadcasts] {
        list.sort_unstable();
        list.dedup();
    }
    Ok(addresses)
}

/// The directed broadcast of the network of `own`, on Linux: where an address was given without one (`ip address add
/// 192.0.2.1/24`), glibc has the address itself in the field of that name, and Linux refuses to send to the broadcast all the
/// same.
fn by_mask(own: Ipv4Addr, mask: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    // A /31 (RFC 3021) and a /32 have none.
    let mask = mask.filter(|mask| mask.to_bits().count_zeros() > 1)?;
    Some(own | !mask)
}

/// The same elsewhere: the field is what the kernel itself takes for the broadcast (`in_ifinit` or `in_aifaddr_ioctl`,
/// sys/netinet/in.c). The mask would be wrong, since the kernels cut off where its zeros begin (`in_socktrim`, same file) and
/// nix reads on behind that.
fn by_field(own: Ipv4Addr, broadcast: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    // That of a /32 is the address itself.
    broadcast.filter(|broadcast| *broadcast != own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_a_broadcast_and_a_single_address_none() {
        let own = Ipv4Addr::new(192, 0, 2, 1);
        let broadcast = Some(Ipv4Addr::new(192, 0, 2, 127));
        let mask = |length: u32| Some(Ipv4Addr::from_bits(u32::MAX << (32 - length)));
        assert_eq!(by_mask(own, mask(25)), broadcast);
        assert_eq!(by_field(own, broadcast), broadcast);
        for none in [by_mask(own, mask(31)), by_mask(own, mask(32))] {
            assert_eq!(none, None);
        }
        assert_eq!(by_mask(own, None), None);
        assert_eq!(by_field(own, Some(own)), None);
        assert_eq!(by_field(own, None), None);
    }

    #[test]
    fn loopback_is_the_hosts_own_and_no_broadcast() {
        let addresses = host_addresses().unwrap();
        assert!(
            addresses.own.contains(&Ipv4Addr::LOCALHOST),
            "{addresses:?}"
        );
        assert!(
            !addresses.broadcasts.contains(&Ipv4Addr::LOCALHOST),
            "{addresses:?}"
        );
    }
}

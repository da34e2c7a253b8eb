//! This host's IPv4 addresses, which a server must not send to (RFC 4380 section 5.2.4).

use std::net::Ipv4Addr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

use crate::OsError;

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
        // Not the field of that name: where an address was given without one (`ip address add 192.0.2.1/24`), glibc
        // puts the address itself there, and Linux refuses to send to the broadcast all the same.
        if interface.flags.contains(InterfaceFlags::IFF_BROADCAST)
            && let Some(mask) = ip(interface.netmask)
            // A /31 (RFC 3021) and a /32 have none.
            && mask.to_bits().count_zeros() > 1
        {
            addresses.broadcasts.push(own | !mask);
        }
    }
    for list in [&mut addresses.own, &mut addresses.broadcasts] {
        list.sort_unstable();
        list.dedup();
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

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

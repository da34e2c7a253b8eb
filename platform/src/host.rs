//! This host's addresses, which a server must not be made to send to (RFC 4380 sections 5.2.4 and 7.4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

use crate::error::OsError;

mod attached;

pub use attached::Attached;

/// An IPv4 address, and the interface that has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assigned {
    /// The address.
    pub address: Ipv4Addr,
    /// The name of the interface.
    pub interface: String,
    /// It is a loopback interface.
    pub loopback: bool,
}

/// Addresses that belong to this host and its networks, sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostAddresses {
    /// Those that interfaces carry, IPv4 and IPv6, loopback included; on Linux also the anycast addresses of the attached IPv6
    /// networks' routers.
    pub own: Vec<IpAddr>,
    /// The directed broadcasts of the attached IPv4 networks.
    pub broadcasts: Vec<Ipv4Addr>,
    /// The networks whose hosts are neighbours.
    pub attached: Attached,
    /// Which interface has which IPv4 address.
    pub assigned: Vec<Assigned>,
}

/// Asks the system for the addresses of all interfaces, as they are now.
///
/// # Errors
/// `getifaddrs`.
pub fn host_addresses() -> Result<HostAddresses, OsError> {
    let mut addresses = HostAddresses::default();
    for interface in getifaddrs().map_err(|error| OsError::new("getifaddrs", "", error))? {
        addresses.attached.add(&interface);
        if let Some(own) = ipv6(interface.address) {
            addresses.own.push(own.into());
            if cfg!(target_os = "linux") {
                let anycast = subnet_router(own, ipv6(interface.netmask));
                addresses.own.extend(anycast.map(IpAddr::from));
            }
        }
        let Some(own) = ipv4(interface.address) else {
            continue;
        };
        addresses.own.push(own.into());
        addresses.assigned.push(Assigned {
            address: own,
            interface: without_label(&interface.interface_name).to_owned(),
            loopback: interface.flags.contains(InterfaceFlags::IFF_LOOPBACK),
        });
        if interface.flags.contains(InterfaceFlags::IFF_BROADCAST) {
            addresses.broadcasts.extend(if cfg!(target_os = "linux") {
                by_mask(own, ipv4(interface.netmask))
            } else {
                by_field(own, ipv4(interface.broadcast))
            });
        }
    }
    addresses.own.sort_unstable();
    addresses.own.dedup();
    addresses.broadcasts.sort_unstable();
    addresses.broadcasts.dedup();
    addresses.assigned.sort_unstable();
    addresses.assigned.dedup();
    Ok(addresses)
}

/// The name of an interface. Linux tells the label of an address in its place, which is the name, or begins with it and a colon
/// (ip-address(8)); no name has one (`dev_valid_name`, net/core/dev.c).
fn without_label(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

fn ipv4(address: Option<SockaddrStorage>) -> Option<Ipv4Addr> {
    Some(address?.as_sockaddr_in()?.ip())
}

fn ipv6(address: Option<SockaddrStorage>) -> Option<Ipv6Addr> {
    Some(address?.as_sockaddr_in6()?.ip())
}

/// The subnet-router anycast address of the network of `own` (RFC 4291 section 2.6.1), which Linux has, unseen, on each interface
/// that it forwards from (`addrconf_join_anycast`, net/ipv6/addrconf.c); other systems have it only where it was configured.
fn subnet_router(own: Ipv6Addr, mask: Option<Ipv6Addr>) -> Option<Ipv6Addr> {
    // On a /127 it is the other end's (RFC 6164 section 4), on a /128 the address itself.
    let mask = mask.filter(|mask| mask.to_bits().count_zeros() > 1)?;
    Some(own & mask)
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
    fn a_network_has_an_address_of_its_routers() {
        let own: Ipv6Addr = "2001:db8:53::1:2".parse().unwrap();
        let mask = |length: u32| Some(Ipv6Addr::from_bits(u128::MAX << (128 - length)));
        let expected: Ipv6Addr = "2001:db8:53::".parse().unwrap();
        assert_eq!(subnet_router(own, mask(64)), Some(expected));
        assert_eq!(
            subnet_router(own, mask(126)),
            Some("2001:db8:53::1:0".parse().unwrap())
        );
        assert_eq!(subnet_router(own, mask(127)), None);
        assert_eq!(subnet_router(own, None), None);
    }

    #[test]
    fn a_label_is_no_interface() {
        assert_eq!(without_label("eth0"), "eth0");
        assert_eq!(without_label("eth0.7:teredo"), "eth0.7");
    }

    #[test]
    fn loopback_is_the_hosts_own_and_no_broadcast() {
        let addresses = host_addresses().unwrap();
        let mut assigned = addresses.assigned.iter();
        let loopback = assigned.find(|assigned| assigned.address == Ipv4Addr::LOCALHOST);
        assert!(
            loopback.is_some_and(|assigned| assigned.loopback),
            "{addresses:?}"
        );
        assert!(
            addresses.own.contains(&Ipv4Addr::LOCALHOST.into()),
            "{addresses:?}"
        );
        assert!(
            !addresses.broadcasts.contains(&Ipv4Addr::LOCALHOST),
            "{addresses:?}"
        );
    }
}

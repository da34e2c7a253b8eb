//! The networks that this host is attached to, whose hosts are its neighbours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::InterfaceAddress;
use nix::net::if_::InterfaceFlags;

/// Networks of both families in which this host reaches each address by asking for it: with ARP (RFC 826) or neighbour discovery
/// (RFC 4861). What it sends to an absent one waits for seconds until the kernel gives up.
///
/// Empty elsewhere than on Linux: nobody else wants to know (see [`UdpSystem::queues`](crate::udp::UdpSystem::queues)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// Address and mask; those of IPv4 mapped into IPv6 (RFC 4291 section 2.5.5.2). Sorted, each once.
    networks: Vec<(u128, u128)>,
}

impl Attached {
    /// Whether `address` is inside one of them.
    pub fn contains(&self, address: impl Into<IpAddr>) -> bool {
        let address = mapped(address.into());
        let mut networks = self.networks.iter();
        networks.any(|(network, mask)| address & mask == *network)
    }

    /// Adds the network of one address of an interface, where there is one.
    pub(super) fn add(&mut self, interface: &InterfaceAddress) {
        // To itself a host does not ask.
        if !cfg!(target_os = "linux") || interface.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
            return;
        }
        let (Some(address), Some(mask)) = (&interface.address, &interface.netmask) else {
            return;
        };
        if let (Some(address), Some(mask)) = (address.as_sockaddr_in(), mask.as_sockaddr_in()) {
            self.add_ipv4(address.ip(), mask.ip());
        }
        if let (Some(address), Some(mask)) = (address.as_sockaddr_in6(), mask.as_sockaddr_in6()) {
            self.add_ipv6(address.ip(), mask.ip());
        }
    }

    fn add_ipv4(&mut self, address: Ipv4Addr, mask: Ipv4Addr) {
        self.insert(mapped(address.into()), !u128::from((!mask).to_bits()));
    }

    /// DHCPv6 assigns an address without a network (RFC 5942 section 4), which Linux has with a mask of 128 bits. The network,
    /// which routers alone advertise, has 64 (RFC 4291 section 2.5.1), so no smaller one is believed in.
    fn add_ipv6(&mut self, address: Ipv6Addr, mask: Ipv6Addr) {
        self.insert(address.to_bits(), mask.to_bits() & (u128::MAX << 64));
    }

    fn insert(&mut self, address: u128, mask: u128) {
        let network = (address & mask, mask);
        if let Err(place) = self.networks.binary_search(&network) {
            self.networks.insert(place, network);
        }
    }
}

fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_hosts() {
        let mut attached = Attached::default();
        assert!(!attached.contains(Ipv4Addr::LOCALHOST));
        attached.add_ipv4([192, 0, 2, 129].into(), [255, 255, 255, 128].into());
        attached.add_ipv4([192, 0, 2, 130].into(), [255, 255, 255, 128].into());
        attached.add_ipv4([203, 0, 113, 1].into(), [255; 4].into());
        assert_eq!(attached.networks.len(), 2);
        let inside = |address: &str| attached.contains(address.parse::<IpAddr>().unwrap());
        assert!(inside("192.0.2.128") && inside("192.0.2.255") && inside("203.0.113.1"));
        assert!(!inside("192.0.2.127") && !inside("192.0.3.0") && !inside("203.0.113.2"));
        assert!(!inside("::192.0.2.129"), "another family");
    }

    #[test]
    fn an_ipv6_network_has_64_bits() {
        for (length, outside) in [
            (128, "2001:db8:0:2::"),
            (64, "2001:db8:0:2::"),
            (48, "2001:db8:1::"),
        ] {
            let mut attached = Attached::default();
            let mask = Ipv6Addr::from_bits(u128::MAX << (128 - length));
            attached.add_ipv6("2001:db8:0:1::5".parse().unwrap(), mask);
            let inside = |address: &str| attached.contains(address.parse::<Ipv6Addr>().unwrap());
            assert!(inside("2001:db8:0:1:ffff::"), "/{length}");
            assert!(!inside(outside), "/{length}");
        }
    }
}

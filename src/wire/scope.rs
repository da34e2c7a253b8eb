//! Which addresses a server may talk to: the checks that keep it from being a weapon (RFC 4380 section 7.4).

use std::net::{Ipv4Addr, Ipv6Addr};

/// Says whether an IPv4 address is global unicast by RFC 4380 section 5.2.4, as far as the address alone tells: the directed
/// broadcasts of attached subnets are the caller's to know. 240/4 (RFC 1112 section 4) is refused too. Documentation
/// and shared address space (192.0.2/24, 198.51.100/24, 203.0.113/24, 100.64/10) pass: laboratories and carriers use them.
#[must_use]
pub fn is_global_unicast(address: Ipv4Addr) -> bool {
    !is_never_unicast(address) && !is_local(address)
}

/// Says whether an IPv4 address is loopback, private or link-local: unicast, but of one host or site.
#[must_use]
pub fn is_local(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_private() || address.is_link_local()
}

/// Says whether an IPv4 address names no single host anywhere: 0/8, 192.88.99/24 (6to4 anycast), 224/4 and 240/4.
#[must_use]
pub fn is_never_unicast(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [0 | 224..=255, ..] | [192, 88, 99, _])
}

/// Says whether an IPv6 address is of global scope, so that a packet may be forwarded from it or to it (RFC 4380 section 5.3.1), as
/// far as the address alone tells: what is inside of a 6to4 address is [`inside_6to4`].
///
/// Global are the addresses that are handed out: 2000::/3, but for those of benchmarks, 2001:2::/48 (RFC 5180 section 8), and those
/// that are no place, 2001:10::/28 (RFC 4843 section 2). So no IPv4 address passes in the guise of an IPv6 one (`::a.b.c.d`,
/// `::ffff:a.b.c.d`, 64:ff9b::/96, 64:ff9b:1::/48). 2001:db8::/32 (RFC 3849) passes, for laboratories.
#[must_use]
pub fn is_global_scope(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 2, 0, ..] => false,
        [0x2001, 0x10..=0x1f, ..] => false,
        [first, ..] => matches!(first, 0x2000..=0x3fff),
    }
}

/// The IPv4 address of the router that a 6to4 address, one in 2002::/16, leads to (RFC 3056 section 2).
#[must_use]
pub fn inside_6to4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.octets() {
        [0x20, 0x02, a, b, c, d, ..] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_by_the_list_of_the_rfc() {
        for refused in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "192.88.99.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!is_global_unicast(refused.parse().unwrap()), "{refused}");
        }
        for passed in [
            "1.0.0.1",
            "9.255.255.255",
            "11.0.0.0",
            "126.0.0.1",
            "128.0.0.1",
            "169.253.0.1",
            "169.255.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.0.1",
            "192.169.0.1",
            "192.88.98.1",
            "192.88.100.1",
            "223.255.255.255",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "100.64.0.1",
        ] {
            assert!(is_global_unicast(passed.parse().unwrap()), "{passed}");
        }
    }

    #[test]
    fn ipv6_by_scope() {
        for refused in [
            "::",
            "::1",
            "::ffff:192.0.2.1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "feff::1",
            "ff02::1",
            "ff0e::1",
            "fc00::1",
            "fdff::1",
            "::2",
            "::192.0.2.1",
            "64:ff9b::192.0.2.1",
            "64:ff9b:1::192.0.2.1",
            "100::1",
            "1fff:ffff::1",
            "4000::1",
            "5f00::1",
            "fbff::1",
            "fe00::1",
            "2001:2::1",
            "2001:2:0:ffff:ffff:ffff:ffff:ffff",
            "2001:10::1",
            "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert!(!is_global_scope(refused.parse().unwrap()), "{refused}");
        }
        for passed in [
            "2000::",
            "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db8::1",
            "3fff::1",
            "2001::1",
            "2001:1:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:2:1::1",
            "2001:f:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:20::1",
            "2002:c000:201::1",
            "2003::1",
        ] {
            assert!(is_global_scope(passed.parse().unwrap()), "{passed}");
        }
    }
    #[test]
    fn a_6to4_address_leads_to_an_ipv4_router() {
        let inside = |address: &str| inside_6to4(address.parse().unwrap());
        assert_eq!(inside("2002:cb00:7109::1"), "203.0.113.9".parse().ok());
        assert_eq!(inside("2003:cb00:7109::1"), None);
        assert_eq!(inside("2102:cb00:7109::1"), None);
    }
}

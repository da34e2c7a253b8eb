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

/// Says whether an IPv6 address is of global scope, so that a packet may be forwarded to it (RFC 4380 section 5.3.1).
///
/// Not global: unspecified, loopback, IPv4-mapped, link-local, site-local, multicast (RFC 4291 sections 2.4 to 2.7), unique
/// local (RFC 4193), and 6to4 with an IPv4 address inside that is not global unicast (RFC 3964 section 5.3).
#[must_use]
pub fn is_global_scope(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => false,
        [0, 0, 0, 0, 0, 0xffff, ..] => false,
        // fc00::/7; then fe80::/10 and fec0::/10, which together are fe80::/9; then ff00::/8.
        [0xfc00..=0xfdff, ..] => false,
        [0xfe80..=0xffff, ..] => false,
        [0x2002, high, low, ..] => {
            let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
            is_global_unicast(Ipv4Addr::new(a, b, c, d))
        }
        _ => true,
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
            "2002:a00:1::1",
            "2002:7f00:1::1",
            "2002:e000:1::1",
            "2002:ffff:ffff::1",
        ] {
            assert!(!is_global_scope(refused.parse().unwrap()), "{refused}");
        }
        for passed in [
            "2001:db8::1",
            "2001::1",
            "2002:c000:201::1",
            "fbff::1",
            "2003::1",
            "::2",
        ] {
            assert!(is_global_scope(passed.parse().unwrap()), "{passed}");
        }
    }
}

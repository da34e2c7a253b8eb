//! What a program in the network driver is told, so that it answers and drops as [`Server`](crate::server::Server) would.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use platform::accelerator::{ADVERTISEMENT_LEN, Limit, Rules};

use crate::limit::RateLimit;
use crate::server::{Policy, Settings};
use crate::wire::discovery::RouterAdvertisement;

// The template is one advertisement as the server writes it.
const _: () = assert!(ADVERTISEMENT_LEN == RouterAdvertisement::LEN);

/// The rules for the program of one interface, of a server with these settings. `bound` are its addresses as this host has them;
/// `cone` says whether the interface has both.
#[must_use]
pub fn rules(settings: &Settings, bound: (Ipv4Addr, Option<Ipv4Addr>), cone: bool) -> Rules {
    let policy = &settings.policy;
    let (primary, secondary) = bound;
    // As the server itself does: its addresses are this host's, too.
    let public = [Some(settings.primary), settings.secondary];
    let mut own: Vec<_> = settings.own.iter().filter_map(ipv4).collect();
    own.extend(public.into_iter().flatten());
    own.sort_unstable();
    own.dedup();
    Rules {
        primary,
        secondary,
        cone,
        prefix: policy.prefix.bits(),
        allow_private: policy.allow_private,
        own,
        broadcasts: settings.broadcasts.clone(),
        advertisement: advertisement(settings.primary, policy),
        limit: policy.rate_limit.map(limit),
    }
}

fn ipv4(address: &IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    }
}

fn limit(limit: RateLimit) -> Limit {
    let pace = limit.pace();
    Limit {
        interval: pace.interval,
        tolerance: pace.tolerance,
    }
}

/// The advertisement to `::`; none where each client has to prove who it is.
fn advertisement(primary: Ipv4Addr, policy: &Policy) -> Option<[u8; ADVERTISEMENT_LEN]> {
    let qualification = policy.qualification.as_ref();
    if qualification.is_some_and(|qualification| qualification.required) {
        return None;
    }
    let mut advertisement = [0; ADVERTISEMENT_LEN];
    RouterAdvertisement::of_server(primary, policy.prefix, policy.mtu, Ipv6Addr::UNSPECIFIED)
        .emit(&mut advertisement)?;
    Some(advertisement)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::num::NonZeroU32;

    use crate::qualification::Qualification;
    use crate::wire::address::{ServicePrefix, server_link_local};
    use crate::wire::ipv6::Packet;

    const BOUND: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const PUBLIC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn settings() -> Settings {
        Settings {
            primary: PUBLIC,
            secondary: None,
            own: vec![BOUND.into(), "2001:db8::1".parse().unwrap()],
            broadcasts: vec![Ipv4Addr::new(10, 0, 0, 255)],
            policy: Policy {
                prefix: ServicePrefix::GLOBAL,
                mtu: 1400,
                allow_private: true,
                rate_limit: Some(RateLimit {
                    packets_per_second: NonZeroU32::new(10).unwrap(),
                    burst: NonZeroU32::new(3).unwrap(),
                }),
                qualification: None,
            },
        }
    }

    #[test]
    fn a_server_behind_a_nat_is_known_by_its_public_address() {
        let rules = rules(&settings(), (BOUND, None), false);
        assert_eq!((rules.primary, rules.secondary), (BOUND, None));
        assert_eq!(rules.own, [BOUND, PUBLIC]);
        assert_eq!(rules.broadcasts, [Ipv4Addr::new(10, 0, 0, 255)]);
        assert_eq!(rules.prefix, 0x2001_0000);
        let advertisement = rules.advertisement.unwrap();
        let (packet, rest) = Packet::split(&advertisement).unwrap();
        assert!(rest.is_empty());
        let expected = RouterAdvertisement {
            source: server_link_local(PUBLIC),
            destination: Ipv6Addr::UNSPECIFIED,
            prefix: "2001:0:c000:201::".parse().unwrap(),
            mtu: 1400,
        };
        assert_eq!(RouterAdvertisement::parse(&packet), Ok(expected));
    }

    #[test]
    fn clients_that_must_prove_who_they_are_get_no_answer_there() {
        let mut settings = settings();
        for (required, answers) in [(false, true), (true, false)] {
            let keys = Vec::new();
            settings.policy.qualification = Some(Qualification { required, keys });
            let rules = rules(&settings, (BOUND, None), false);
            assert_eq!(rules.advertisement.is_some(), answers, "{required}");
        }
    }

    #[test]
    fn the_limit_is_that_of_the_server_in_nanoseconds() {
        let mut settings = settings();
        let limit = rules(&settings, (BOUND, None), false).limit.unwrap();
        assert_eq!(
            (limit.interval, limit.tolerance),
            (100_000_000, 200_000_000)
        );
        settings.policy.rate_limit = None;
        assert_eq!(rules(&settings, (BOUND, None), false).limit, None);
    }
}

//! What a server is told, so that the program is told the same.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;

use miredo_server::limit::RateLimit;
use miredo_server::server::{Policy, Settings};
use miredo_server::wire::address::ServicePrefix;

/// The settings of a server at `primary` and the next address, in a network of 256, and all else as it comes.
pub(crate) fn settings(primary: Ipv4Addr, rate_limit: Option<RateLimit>) -> Settings {
    let secondary = Ipv4Addr::from_bits(primary.to_bits() + 1);
    Settings {
        primary,
        secondary: Some(secondary),
        own: [Ipv4Addr::LOCALHOST, primary, secondary]
            .map(Into::into)
            .to_vec(),
        broadcasts: vec![Ipv4Addr::from_bits(primary.to_bits() | 0xff)],
        policy: Policy {
            prefix: ServicePrefix::GLOBAL,
            mtu: 1280,
            allow_private: false,
            rate_limit,
            qualification: None,
        },
    }
}

/// So many packets a second, and as many at once.
pub(crate) fn limit(packets: u32) -> Option<RateLimit> {
    let packets_per_second = NonZeroU32::new(packets)?;
    Some(RateLimit {
        packets_per_second,
        burst: packets_per_second,
    })
}

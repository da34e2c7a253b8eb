//! Router Solicitation and Router Advertisement (RFC 4861), as Teredo uses them (RFC 4380 sections 5.2.1 and 5.3.2).

use std::net::{Ipv4Addr, Ipv6Addr};

use pnet_packet::icmpv6::Icmpv6Type;
use pnet_packet::icmpv6::ndp::MutableRouterAdvertPacket;

use super::address::{ServicePrefix, server_link_local};
use super::icmp6::{self, Invalid, ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION};
use super::ipv6::{HEADER_LEN, Header, ICMP6, Packet};
use super::options::{self, DiscoveryOption, MTU_LEN, Options, PREFIX_LEN};

/// The hop limit of all neighbour discovery: it proves that no router forwarded the packet (RFC 4861 section 6.1).
pub const HOP_LIMIT: u8 = 255;

/// A Router Solicitation without options (RFC 4861 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterSolicitation {
    /// The client: link-local, or its Teredo address.
    pub source: Ipv6Addr,
    /// All routers, or the server's link-local address.
    pub destination: Ipv6Addr,
}

impl RouterSolicitation {
    /// Length in bytes of the message without options.
    pub const MIN_LEN: usize = 8;

    /// Reads the solicitation in `packet` if it is valid by RFC 4861 section 6.1.1. Its options are checked and let go.
    ///
    /// # Errors
    /// The first fault found, the checksum last.
    pub fn parse(packet: &Packet<'_>) -> Result<Self, Invalid> {
        let _options = checked_options(packet, ROUTER_SOLICITATION, Self::MIN_LEN)?;
        let header = packet.header();
        Ok(Self {
            source: header.source,
            destination: header.destination,
        })
    }

    /// Writes the solicitation in an IPv6 packet; see [`super`].
    #[must_use]
    pub fn emit<'o>(&self, out: &'o mut [u8]) -> Option<&'o mut [u8]> {
        let header = self::header(Self::MIN_LEN, self.source, self.destination)?;
        icmp6::emit(out, header, ROUTER_SOLICITATION, |_| Some(()))
    }
}

/// A Teredo server's Router Advertisement (RFC 4861 section 4.2, RFC 4380 section 5.3.2): current hop limit 0, no flags,
/// router lifetime 0 (it is no default router of the link), reachable time 0, retransmit timer 2000 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterAdvertisement {
    /// The server's link-local address.
    pub source: Ipv6Addr,
    /// The source of the solicitation.
    pub destination: Ipv6Addr,
    /// The clients' prefix, 64 bits long: autonomous, not on-link, both lifetimes infinite.
    pub prefix: Ipv6Addr,
    /// The link's MTU in bytes.
    pub mtu: u32,
}

impl RouterAdvertisement {
    /// Length in bytes of the message without options.
    pub const MIN_LEN: usize = 16;
    /// Length in bytes of what [`Self::emit`] writes: IPv6 header, message, prefix information and MTU options.
    pub const LEN: usize = HEADER_LEN + Self::MIN_LEN + PREFIX_LEN + MTU_LEN;
    /// Retransmit timer in milliseconds: how long a client waits between solicitations.
    pub const RETRANSMIT: u32 = 2000;

    /// What the server at `primary` sends whoever solicits it from `destination`.
    #[must_use]
    pub fn of_server(
        primary: Ipv4Addr,
        prefix: ServicePrefix,
        mtu: u16,
        destination: Ipv6Addr,
    ) -> Self {
        Self {
            source: server_link_local(primary),
            destination,
            prefix: prefix.client_prefix(primary),
            mtu: mtu.into(),
        }
    }

    /// Reads the advertisement in `packet` if it is valid by RFC 4861 section 6.1.2, but for its source, which the caller knows
    /// better, and has a prefix information option of 64 bits. Without an MTU option, `mtu` is 1280 (RFC 4380 section 5.1.2).
    ///
    /// # Errors
    /// The first fault found, the checksum last; [`Invalid::Options`] too if the prefix is missing.
    pub fn parse(packet: &Packet<'_>) -> Result<Self, Invalid> {
        let options = checked_options(packet, ROUTER_ADVERTISEMENT, Self::MIN_LEN)?;
        let prefix = options
            .iter()
            .find_map(DiscoveryOption::prefix)
            .ok_or(Invalid::Options)?;
        let mtu = options
            .iter()
            .find_map(DiscoveryOption::mtu)
            .unwrap_or(1280);
        let header = packet.header();
        Ok(Self {
            source: header.source,
            destination: header.destination,
            prefix,
            mtu,
        })
    }

    /// How many prefix information options of any length the advertisement in `packet` has: a client takes exactly one (RFC
    /// 4380 section 5.2.1). `None` if it is not valid by RFC 4861 section 6.1.2, but for its source.
    #[must_use]
    pub fn prefixes(packet: &Packet<'_>) -> Option<usize> {
        let options = checked_options(packet, ROUTER_ADVERTISEMENT, Self::MIN_LEN).ok()?;
        Some(options.iter().filter(|option| option.is_prefix()).count())
    }

    /// Writes the advertisement in an IPv6 packet; see [`super`].
    #[must_use]
    pub fn emit<'o>(&self, out: &'o mut [u8]) -> Option<&'o mut [u8]> {
        let header = self::header(Self::LEN - HEADER_LEN, self.source, self.destination)?;
        icmp6::emit(out, header, ROUTER_ADVERTISEMENT, |message| {
            MutableRouterAdvertPacket::new(message)?.set_retrans_time(Self::RETRANSMIT);
            let (_, options) = message.split_at_mut_checked(Self::MIN_LEN)?;
            let options = options::emit_prefix(options, self.prefix)?;
            options::emit_mtu(options, self.mtu).map(|_| ())
        })
    }
}

fn header(message_len: usize, source: Ipv6Addr, destination: Ipv6Addr) -> Option<Header> {
    let payload_len = u16::try_from(message_len).ok()?;
    Some(Header {
        next_header: ICMP6,
        payload_len,
        hop_limit: HOP_LIMIT,
        source,
        destination,
    })
}

/// What RFC 4861 sections 6.1.1 and 6.1.2 ask of both messages, cheapest first.
fn checked_options<'a>(
    packet: &Packet<'a>,
    kind: Icmpv6Type,
    min_len: usize,
) -> Result<Options<'a>, Invalid> {
    icmp6::check_kind_and_code(packet, kind, min_len)?;
    if packet.header().hop_limit != HOP_LIMIT {
        return Err(Invalid::HopLimit);
    }
    let (_, options) = packet
        .payload()
        .split_at_checked(min_len)
        .ok_or(Invalid::Short)?;
    let options = Options::parse(options).ok_or(Invalid::Options)?;
    icmp6::verify_checksum(packet)?;
    Ok(options)
}

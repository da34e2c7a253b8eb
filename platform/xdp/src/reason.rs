//! Why the program drops. Program and server both compile this file.

/// Why the program dropped a datagram: the first of these that applies, in the order of the server's own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// The source port is 0.
    SourcePort,
    /// The source is no address that a client or relay has.
    SourceAddress,
    /// The source is this host, on the Teredo port.
    SourceLoop,
    /// The authentication header is cut short.
    Authentication,
    /// The origin indication is cut short.
    Origin,
    /// The IPv6 header is cut short.
    Header,
    /// What should be an IPv6 header has another version.
    Version,
    /// The IPv6 payload length points past the end.
    PayloadLength,
    /// Neither ICMPv6 nor a bubble.
    NextHeader,
    /// A solicitation over the limit of its client.
    RateLimited,
}

impl Drop {
    /// Every reason, in order.
    pub const ALL: [Self; 10] = [
        Self::SourcePort,
        Self::SourceAddress,
        Self::SourceLoop,
        Self::Authentication,
        Self::Origin,
        Self::Header,
        Self::Version,
        Self::PayloadLength,
        Self::NextHeader,
        Self::RateLimited,
    ];
}

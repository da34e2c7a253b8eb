//! What was sent, or which rule dropped the datagram; counters and log lines key on it.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV4};

use platform::accelerator::Drop;
use platform::{REPLY_MAX, Via};

use crate::qualification::{IDENTIFIER_MAX, VALUE_LEN};
use crate::wire::discovery::RouterAdvertisement;
use crate::wire::encapsulation::{Authentication, OriginIndication};
use crate::wire::ipv6::HEADER_LEN;
use crate::wire::trailers::Trailers;

mod counters;

pub use counters::{Counter, Counters, LogLimit};

/// What became of one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// One packet is to be sent.
    Send(Reply),
    /// Nothing is, in silence.
    Drop(Reason),
}

/// The one packet that answers or forwards a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it is.
    pub kind: Kind,
    /// How it goes.
    pub route: Route,
    /// How many bytes of the output buffer it takes.
    pub len: usize,
}

/// How a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The output is the payload of a UDP datagram.
    Udp {
        /// The address to send it from, always on port 3544.
        via: Via,
        /// Where it goes.
        to: SocketAddrV4,
    },
    /// The output is an ICMPv6 message, from its type on, its checksum right for the two addresses.
    Native {
        /// A client's Teredo address.
        source: Ipv6Addr,
        /// An address of global scope.
        destination: Ipv6Addr,
        /// As the packet is to leave.
        hop_limit: u8,
    },
}

/// Defines an enumeration whose variants have a phrase each, and what it means, so that none can be without one or missing from
/// `ALL`. Log, status and manual page have both from here.
macro_rules! phrased {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $phrase:literal: $meaning:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every variant, in order.
            pub const ALL: [Self; [$($phrase),+].len()] = [$(Self::$variant),+];

            /// A short phrase, which is its name everywhere.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $phrase,)+ }
            }

            /// What it means, in words of the manual page.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

phrased! {
    /// What was sent. RFC 4380 section 5.3 allows no more than this.
    Kind {
        /// A Router Advertisement (RFC 4380 section 5.3.2).
        Advertisement = "router advertisement": "answers a solicitation",
        /// A bubble, forwarded to a Teredo client (RFC 4380 section 5.3.1).
        Bubble = "bubble": "is forwarded to a client",
        /// An ICMPv6 echo request or reply, forwarded to a Teredo client (RFC 4380 section 5.3.1).
        TeredoEcho = "echo to a Teredo address": "is forwarded to a client",
        /// An ICMPv6 echo request or reply, forwarded to a native host: the direct IPv6 connectivity test (RFC 4380 section 5.2.9).
        NativeEcho = "echo to a native address": "is forwarded over IPv6",
        /// The server's own reply to an echo request (RFC 4380 section 5.3.1).
        EchoReply = "echo reply": "answers an echo request to the server itself",
    }
}

impl Kind {
    /// Longest IPv6 payload of an echo that is forwarded or answered, in bytes: ICMPv6 header and data.
    pub const ECHO_MAX: usize = 88;

    /// Most bytes that one packet of this kind takes in the output buffer.
    #[must_use]
    pub const fn max_len(self) -> usize {
        match self {
            Self::Advertisement => {
                Authentication::MIN_LEN
                    + IDENTIFIER_MAX
                    + VALUE_LEN
                    + OriginIndication::LEN
                    + RouterAdvertisement::LEN
            }
            Self::Bubble => OriginIndication::LEN + HEADER_LEN + Trailers::MAX_LEN,
            Self::TeredoEcho => {
                OriginIndication::LEN + HEADER_LEN + Self::ECHO_MAX + Trailers::MAX_LEN
            }
            Self::NativeEcho => Self::ECHO_MAX,
            Self::EchoReply => HEADER_LEN + Self::ECHO_MAX,
        }
    }
}

// Every kind fits in the output buffer, so no emission can fail for want of room.
const _: () = {
    let [a, b, c, d, e] = Kind::ALL;
    assert!(a.max_len() <= REPLY_MAX && b.max_len() <= REPLY_MAX && c.max_len() <= REPLY_MAX);
    assert!(d.max_len() <= REPLY_MAX && e.max_len() <= REPLY_MAX);
};

phrased! {
    /// Why nothing was sent: one variant for each rule that drops.
    Reason {
        /// Longer than the receive buffer, so not to be read as a whole.
        Truncated = "datagram too long": "the datagram is not Teredo, or damaged",
        /// Rule 3: UDP source port 0, to which nobody can answer (RFC 768).
        SourcePort = "source port 0": "an answer would not reach the sender; in a laboratory, set AllowPrivateAddresses",
        /// Rule 3: IPv4 source not global unicast (RFC 4380 sections 5.3.1 rule 3 and 5.2.4).
        SourceAddress = "source not global unicast":
            "an answer would not reach the sender; in a laboratory, set AllowPrivateAddresses",
        /// Rule 3: from an address of this host on the Teredo port, which would be a loop (RFC 4380 section 7.3.5).
        SourceLoop = "source is this server": "the packet would loop, for example through an echo service",
        /// Rule 1: ends inside its authentication header (RFC 4380 section 5.1.1).
        Authentication = "authentication header cut short": "the datagram is not Teredo, or damaged",
        /// Rule 1: ends inside its origin indication (RFC 4380 section 5.1.1).
        Origin = "origin indication cut short": "the datagram is not Teredo, or damaged",
        /// Rule 1: ends inside its IPv6 header, or before it (RFC 8200 section 3).
        Header = "IPv6 header cut short": "the datagram is not Teredo, or damaged",
        /// Rule 1: no IPv6 packet where there should be one (RFC 8200 section 3).
        Version = "not IPv6": "the datagram is not Teredo, or damaged",
        /// Rule 1: IPv6 payload length past the end of the datagram (RFC 8200 section 3).
        PayloadLength = "IPv6 payload cut short": "the datagram is not Teredo, or damaged",
        /// Rule 2: next header not ICMPv6, and no bubble (RFC 4380 section 5.3.1 rule 2).
        NextHeader = "neither ICMPv6 nor a bubble": "a client uses the server as a relay",
        /// Rule 4: link-local source, and neither a Router Solicitation to all routers nor a relay's bubble for a client of this
        /// server; or the link-local address of this server itself (RFC 4380 section 5.3.1 rules 4, 6 and 7).
        LinkLocalSource = "link-local source, but no solicitation":
            "the source is forged, or the client has a new mapped address",
        /// Rule 5: Teredo source that embeds another IPv4 address or port than the datagram came from
        /// (RFC 4380 section 5.3.1 rules 5 and 7).
        MappedMismatch = "Teredo source of another mapped address":
            "the source is forged, or the client has a new mapped address",
        /// Rule 6: native source that is not of global scope (RFC 4380 section 5.3.1 rule 7, RFC 4291 sections 2.5.2 to 2.7).
        SourceScope = "source not of global scope": "the source is forged, or the client has a new mapped address",
        /// Rule 6: native source, and the destination is no client of this server (RFC 4380 section 5.3.1 rules 6 and 7).
        NotOurClient = "native source to no client of ours": "the source is forged, or the client has a new mapped address",
        /// To be forwarded, but with an origin indication, which only servers insert: forwarded already (RFC 4380 sections 5.1.1 and
        /// 7.4.3).
        Forwarded = "forwarded already": "the packet would loop, for example through an echo service",
        /// Router Solicitation that names no client, where each must (RFC 4380 section 5.2.2).
        NoIdentifier = "solicitation without client identifier":
            "the client has not proved who it is; see SecureQualification",
        /// Router Solicitation that names a client without a key here (RFC 4380 section 5.2.2).
        UnknownIdentifier = "unknown client identifier": "the client has not proved who it is; see SecureQualification",
        /// Router Solicitation with an authentication value that the client's key does not give (RFC 4380 section 5.2.2).
        AuthenticationValue = "wrong authentication value": "the client has not proved who it is; see SecureQualification",
        /// Its receiver was sent as much as the configured limit allows (RFC 4380 section 7.4).
        RateLimited = "receiver over its rate limit": "its receiver was sent as much as RateLimit allows",
        /// More arrives than the worker can answer, and the network of its source asks for more than its share.
        Crowded = "network over its fair share":
            "more arrives than the server can answer, and this network asks for more than its share",
        /// To this server, or to all routers, but nothing that it answers there: neither a Router Solicitation, nor an echo
        /// request to the server's own address (RFC 4380 section 5.3.1).
        Unanswered = "to this server, but nothing it answers": "a server does not forward this",
        /// IPv6 destination not of global scope (RFC 4380 section 5.3.1).
        Scope = "destination not of global scope": "a server does not forward this",
        /// IPv6 destination is this host, natively.
        NativeOwn = "destination is this host": "nothing is forwarded to the server's own host",
        /// ICMPv6 message shorter than its type asks for (RFC 4443 section 4, RFC 4861 section 6.1.1).
        MessageLength = "ICMPv6 message cut short": "the datagram is not Teredo, or damaged",
        /// ICMPv6 code not 0 where only 0 is defined (RFC 4443 section 4.1, RFC 4861 section 6.1.1).
        MessageCode = "ICMPv6 code not 0": "the datagram is not Teredo, or damaged",
        /// ICMPv6 checksum wrong (RFC 4443 section 2.3).
        MessageChecksum = "wrong ICMPv6 checksum": "the datagram is not Teredo, or damaged",
        /// Router Solicitation with a hop limit other than 255 (RFC 4861 section 6.1.1).
        SolicitationHopLimit = "solicitation with hop limit not 255": "the datagram is not Teredo, or damaged",
        /// Router Solicitation with an option that is empty or points past its end (RFC 4861 sections 4.6 and 6.1.1).
        SolicitationOptions = "solicitation with malformed options": "the datagram is not Teredo, or damaged",
        /// Router Solicitation with the cone bit and no second address to answer it from (RFC 4380 section 5.3.2).
        ConeSolicitation = "cone solicitation, but no second address": "ServerBindAddress2 is none",
        /// ICMPv6 type that a server does not forward (RFC 4380 section 5.3).
        MessageType = "ICMPv6 type not forwarded": "a server does not forward this",
        /// Echo with an IPv6 payload above [`Kind::ECHO_MAX`]: a connectivity test needs no more (RFC 4380 section 5.2.9).
        EchoLength = "echo too long": "it is longer than a test of connectivity needs",
        /// Echo to a native address with hop limit 0 or 1 (RFC 8200 section 3).
        EchoHopLimit = "echo out of hops": "its hop limit is used up",
        /// Bubble to a native address, which has no use for it (RFC 4380 section 2.8).
        NativeBubble = "bubble to a native address": "a server does not forward this",
        /// Destination is a Teredo address with port 0 inside (RFC 768).
        MappedPort = "mapped port 0": "a server does not forward this",
        /// Destination is a Teredo address whose IPv4 address is not global unicast (RFC 4380 sections 5.3.1 and 5.2.4).
        MappedAddress = "mapped address not global unicast": "a server does not forward this",
        /// Destination is a Teredo address that embeds this host: a loop, or a service that is not for everybody (RFC 4380 section
        /// 7.4).
        MappedOwn = "mapped address is this host": "nothing is forwarded to the server's own host",
        /// Destination is a Teredo address that embeds the address and port that the datagram came from, as an echo service sends it
        /// (RFC 4380 section 7.4.3).
        MappedSource = "mapped address is the sender": "the packet would loop, for example through an echo service",
    }
}

impl From<Drop> for Reason {
    /// A program in the network driver drops by the same rules.
    fn from(drop: Drop) -> Self {
        match drop {
            Drop::SourcePort => Self::SourcePort,
            Drop::SourceAddress => Self::SourceAddress,
            Drop::SourceLoop => Self::SourceLoop,
            Drop::Authentication => Self::Authentication,
            Drop::Origin => Self::Origin,
            Drop::Header => Self::Header,
            Drop::Version => Self::Version,
            Drop::PayloadLength => Self::PayloadLength,
            Drop::NextHeader => Self::NextHeader,
            Drop::RateLimited => Self::RateLimited,
        }
    }
}

phrased! {
    /// Why a packet was lost on its way in, or was to be sent and was not.
    Loss {
        /// The kernel dropped it before anybody saw it, for want of room in the socket.
        Overflow = "no room to receive": "the receive buffer was full; see ReceiveBuffer",
        /// There was no room for it: lost, as on any full link.
        Congestion = "no room to send": "the link or its queue was full, or too much waited for absent neighbours",
        /// The system refused it: no route, a firewall.
        Refusal = "not sent": "the system refused it; there is no route, or a packet filter forbids it",
        /// There is no way out to native IPv6.
        Undeliverable = "no way to native IPv6": "with --local, the server sends nothing over IPv6",
    }
}

phrased! {
    /// At which address a datagram arrived.
    Entry {
        /// [`Via::Primary`].
        Primary = "primary address": "came to ServerBindAddress",
        /// [`Via::Secondary`].
        Secondary = "secondary address": "came to ServerBindAddress2",
    }
}

impl From<Via> for Entry {
    fn from(via: Via) -> Self {
        match via {
            Via::Primary => Self::Primary,
            Via::Secondary => Self::Secondary,
        }
    }
}

phrased! {
    /// What is counted of a datagram: the first part of a counter's name.
    Outcome {
        /// By [`Entry`].
        Received = "received": "datagrams that the server read",
        /// By [`Kind`].
        Sent = "sent": "packets that answer a datagram, or forward it",
        /// By [`Reason`].
        Dropped = "dropped": "datagrams with which there is nothing to do, or nothing that is allowed",
        /// By [`Loss`].
        Lost = "lost": "packets that the system dropped before the server read them, or did not send",
    }
}

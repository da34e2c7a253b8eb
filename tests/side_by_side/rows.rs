//! The rows of the README's table of differences: given what the C server sends, what does ours?

use std::net::SocketAddrV4;

use crate::bench::Sent;
use crate::cases::Case;
use crate::packet::{ECHO_REPLY, PORT, PRIMARY, Packet, origin, server_link_local};

/// One row of the table.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    /// What ours has to send for a case of this row for which the C server sent the argument.
    pub(crate) ours: fn(&Case, &[Sent]) -> Vec<Sent>,
}

pub(crate) static RA_AUTHENTICATION: Row = Row {
    id: "ra-authentication",
    ours: without_authentication,
};
pub(crate) static SOLICITATION_VALIDITY: Row = Row {
    id: "solicitation-validity",
    ours: nothing,
};
pub(crate) static ICMP6_TYPES: Row = Row {
    id: "icmp6-types",
    ours: nothing,
};
pub(crate) static ICMP6_VALIDITY: Row = Row {
    id: "icmp6-validity",
    ours: nothing,
};
pub(crate) static NATIVE_BUBBLES: Row = Row {
    id: "native-bubbles",
    ours: nothing,
};
pub(crate) static NATIVE_HEADER: Row = Row {
    id: "native-header",
    ours: one_hop_further,
};
pub(crate) static NATIVE_HOP_LIMIT: Row = Row {
    id: "native-hop-limit",
    ours: nothing,
};
pub(crate) static NATIVE_SCOPE: Row = Row {
    id: "native-scope",
    ours: nothing,
};
pub(crate) static GLOBAL_IPV4: Row = Row {
    id: "global-ipv4",
    ours: nothing,
};
pub(crate) static OWN_ADDRESS: Row = Row {
    id: "own-address",
    ours: nothing,
};
pub(crate) static SOURCE_SCOPE: Row = Row {
    id: "source-scope",
    ours: nothing,
};
pub(crate) static BACK_TO_SENDER: Row = Row {
    id: "back-to-sender",
    ours: nothing,
};
pub(crate) static FORWARDED_AGAIN: Row = Row {
    id: "forwarded-again",
    ours: nothing,
};
pub(crate) static TRAILERS: Row = Row {
    id: "trailers",
    ours: without_tail,
};
pub(crate) static LONG_DATAGRAM: Row = Row {
    id: "long-datagram",
    ours: nothing,
};
pub(crate) static ECHO_TO_SERVER: Row = Row {
    id: "echo-to-server",
    ours: echo_reply,
};

/// The one row that stands beside others: it is about all that goes to clients of other servers.
pub(crate) const OTHER_SERVERS: &str = "other-servers";

/// What the C server sent, with the origin indication that ours puts in front of what it forwards to clients of other servers.
pub(crate) fn with_origin(case: &Case, reference: &[Sent]) -> Vec<Sent> {
    each_payload(reference, |payload| match payload.first() {
        Some(0x60..=0x6f) => [&origin(case.from), payload].concat(),
        _ => payload.to_vec(),
    })
}

fn nothing(_: &Case, _: &[Sent]) -> Vec<Sent> {
    Vec::new()
}

/// The same advertisement, without the 13 octets of an authentication header that nobody asked for.
fn without_authentication(_: &Case, reference: &[Sent]) -> Vec<Sent> {
    each_payload(reference, |payload| payload[13..].to_vec())
}

/// The same packet, cut at its payload length.
fn without_tail(_: &Case, reference: &[Sent]) -> Vec<Sent> {
    each_payload(reference, |payload| {
        let at = packet_in(payload);
        let len = u16::from_be_bytes([payload[at + 4], payload[at + 5]]);
        payload[..at + 40 + usize::from(len)].to_vec()
    })
}

/// The same packet, its hop limit decremented, traffic class and flow label zero.
fn one_hop_further(_: &Case, reference: &[Sent]) -> Vec<Sent> {
    let forward = |sent: &Sent| {
        let Sent::Native(packet) = sent else {
            return sent.clone();
        };
        let mut packet = packet.clone();
        packet[..4].copy_from_slice(&[0x60, 0, 0, 0]);
        packet[7] -= 1;
        Sent::Native(packet)
    };
    reference.iter().map(forward).collect()
}

/// An answer of the server itself, where the C server gives none.
fn echo_reply(case: &Case, _: &[Sent]) -> Vec<Sent> {
    let request = &case.bytes[packet_in(&case.bytes)..];
    let mut client = [0; 16];
    client.copy_from_slice(&request[8..24]);
    let len = usize::from(u16::from_be_bytes([request[4], request[5]]));
    let data = &request[44..40 + len];
    let reply = Packet::icmp6(
        server_link_local(PRIMARY),
        client.into(),
        ECHO_REPLY,
        0,
        data,
    )
    .hop_limit(64);
    vec![Sent::Datagram {
        from: SocketAddrV4::new(case.to, PORT),
        to: case.from,
        dont_fragment: false,
        payload: reply.bytes(),
    }]
}

fn each_payload(reference: &[Sent], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Sent> {
    let changed = |sent: &Sent| match sent.clone() {
        Sent::Datagram {
            from,
            to,
            dont_fragment,
            payload,
        } => Sent::Datagram {
            from,
            to,
            dont_fragment,
            payload: change(&payload),
        },
        native => native,
    };
    reference.iter().map(changed).collect()
}

/// Where the IPv6 packet starts, behind an authentication header without identifier and an origin indication.
fn packet_in(datagram: &[u8]) -> usize {
    let authentication = if datagram.starts_with(&[0, 1]) { 13 } else { 0 };
    let origin = if datagram[authentication..].starts_with(&[0, 0]) {
        8
    } else {
        0
    };
    authentication + origin
}

//! What the server forwards: bubbles and small echoes, and nothing else (RFC 4380 section 5.3).

use std::net::SocketAddrV4;

use platform::{REPLY_MAX, Via};

use super::peers::Refusal;
use super::{Server, invalid, reply};
use crate::verdict::{Kind, Reason, Reply, Route};
use crate::wire::address::TeredoAddress;
use crate::wire::encapsulation::{Datagram, OriginIndication};
use crate::wire::icmp6::{self, Echo};
use crate::wire::ipv6::Packet;
use crate::wire::put;
use crate::wire::trailers::Trailers;

impl Server {
    /// Forwards a bubble or small echo to a Teredo client, unchanged, with its trailers if they are well formed (RFC 4380 section
    /// 5.3.1, RFC 6081 section 4). The hop limit is let alone: bubbles in the field carry 0.
    ///
    /// Clients of other servers get an origin indication, too, which they may ignore: by it the packet is known when it comes back.
    ///
    /// The packet is copied as bytes and not through `pnet_packet`: unchanged is the point.
    pub(super) fn forward_to_teredo(
        &self,
        datagram: &Datagram<'_>,
        client: TeredoAddress,
        from: SocketAddrV4,
        out: &mut [u8; REPLY_MAX],
    ) -> Result<Reply, Reason> {
        let kind = if datagram.packet.is_bubble() {
            Kind::Bubble
        } else {
            check_small_echo(&datagram.packet)?;
            Kind::TeredoEcho
        };
        if client.mapped == from {
            return Err(Reason::MappedSource);
        }
        self.peers
            .check_destination(client.mapped)
            .map_err(mapped_refused)?;
        let left = emit_encapsulated(datagram, OriginIndication(from), out);
        reply(
            kind,
            Route::Udp {
                via: Via::Primary,
                to: client.mapped,
            },
            left,
        )
    }
}

/// Forwards a small echo of a Teredo client to a native host (RFC 4380 section 5.2.9), one hop further on. The hop limit is no
/// part of the checksum, so the message stays as it is.
pub(super) fn forward_to_native(
    datagram: &Datagram<'_>,
    out: &mut [u8; REPLY_MAX],
) -> Result<Reply, Reason> {
    let (packet, header) = (&datagram.packet, datagram.packet.header());
    if packet.is_bubble() {
        return Err(Reason::NativeBubble);
    }
    check_small_echo(packet)?;
    let hop_limit = header
        .hop_limit
        .checked_sub(1)
        .filter(|hops| *hops > 0)
        .ok_or(Reason::EchoHopLimit)?;
    icmp6::verify_checksum(packet).map_err(invalid)?;
    let left = put(out, packet.payload());
    let route = Route::Native {
        source: header.source,
        destination: header.destination,
        hop_limit,
    };
    reply(Kind::NativeEcho, route, left)
}

fn check_small_echo(packet: &Packet<'_>) -> Result<(), Reason> {
    match icmp6::kind(packet) {
        Some(kind) if icmp6::is_echo(kind) => {}
        Some(_) => return Err(Reason::MessageType),
        None => return Err(Reason::MessageLength),
    }
    match packet.payload().len() {
        ..Echo::MIN_LEN => Err(Reason::MessageLength),
        Echo::MIN_LEN..=Kind::ECHO_MAX => Ok(()),
        _ => Err(Reason::EchoLength),
    }
}

fn emit_encapsulated<'o>(
    datagram: &Datagram<'_>,
    origin: OriginIndication,
    out: &'o mut [u8],
) -> Option<&'o mut [u8]> {
    let out = put(origin.emit(out)?, datagram.packet.bytes())?;
    let trailers = Trailers::parse(datagram.rest).unwrap_or_default();
    put(out, trailers.bytes())
}

/// The check of the embedded IPv4 address and port (RFC 4380 section 5.3.1).
fn mapped_refused(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::Port => Reason::MappedPort,
        Refusal::Address => Reason::MappedAddress,
        Refusal::Own => Reason::MappedOwn,
    }
}

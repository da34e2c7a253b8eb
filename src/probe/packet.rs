//! A datagram in words, for `-v`.

use std::fmt::Write;

use crate::wire::discovery::{RouterAdvertisement, RouterSolicitation};
use crate::wire::encapsulation::{Datagram, OriginIndication};
use crate::wire::icmp6::{self, ECHO_REQUEST, Echo};
use crate::wire::ipv6::Packet;
use crate::wire::trailers::Trailers;

/// What is in a datagram, outside in; never more than one line of printable characters.
#[must_use]
pub fn describe(bytes: &[u8]) -> String {
    let Ok(datagram) = Datagram::parse(bytes) else {
        let start: String = bytes.iter().take(16).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        return format!("{} bytes, not a Teredo packet: {start}", bytes.len());
    };
    let mut parts = Vec::new();
    if let Some(header) = datagram.authentication {
        let nonce = u64::from_be_bytes(header.nonce);
        let mut text = format!("nonce {nonce:016x}");
        if header.confirmation != 0 {
            let _ = write!(text, ", confirmation {}", header.confirmation);
        }
        if !header.value.is_empty() {
            let _ = write!(text, ", {} bytes of authentication", header.value.len());
        }
        parts.push(text);
    }
    if let Some(OriginIndication(origin)) = datagram.origin {
        parts.push(format!("origin {origin}"));
    }
    parts.push(packet(&datagram.packet));
    if !datagram.rest.is_empty() {
        let what = match Trailers::parse(datagram.rest) {
            Some(_) => "trailers",
            None => "further bytes",
        };
        parts.push(format!("{} bytes of {what}", datagram.rest.len()));
    }
    parts.join(", ")
}

fn packet(packet: &Packet<'_>) -> String {
    let header = packet.header();
    let mut text = format!(
        "{} > {}, hop limit {}, ",
        header.source, header.destination, header.hop_limit
    );
    let _ = if packet.is_bubble() {
        write!(text, "bubble")
    } else if RouterSolicitation::parse(packet).is_ok() {
        write!(text, "Router Solicitation")
    } else if let Ok(advertisement) = RouterAdvertisement::parse(packet) {
        let (prefix, mtu) = (advertisement.prefix, advertisement.mtu);
        write!(text, "Router Advertisement: prefix {prefix}/64, MTU {mtu}")
    } else if let Ok(echo) = Echo::parse(packet) {
        let what = if echo.kind == ECHO_REQUEST {
            "request"
        } else {
            "reply"
        };
        write!(
            text,
            "echo {what}, sequence {}, {} bytes",
            echo.sequence,
            echo.data.len()
        )
    } else if let Some(kind) = icmp6::kind(packet) {
        write!(text, "ICMPv6 type {}", kind.0)
    } else {
        write!(
            text,
            "next header {}, {} bytes",
            header.next_header.0, header.payload_len
        )
    };
    text
}

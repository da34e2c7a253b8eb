//! What the fuzz targets do with their input; tests/corpus.rs does the same with the corpus, on any compiler.

#[path = "invariants.rs"]
pub(crate) mod invariants;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::path::Path;
use std::time::Instant;

use miredo_server::conf::{self, Diagnostic, KeyFile, Overrides, Severity};
use miredo_server::daemon::exporter::request;
use miredo_server::qualification::{Authenticator, ClientKey, Octets, Qualification};
use miredo_server::server::{Arrival, Policy, Server, Settings};
use miredo_server::wire::address::ServicePrefix;
use miredo_server::wire::discovery::{RouterAdvertisement, RouterSolicitation};
use miredo_server::wire::encapsulation::Datagram;
use miredo_server::wire::icmp6::Echo;
use miredo_server::wire::ipv6::{HEADER_LEN, Packet};
use miredo_server::wire::options::Options;
use miredo_server::wire::trailers::Trailers;
use platform::{DATAGRAM_MAX, REPLY_MAX, Via};

/// Bits of the first byte of [`handle`]'s input.
pub(crate) const PRIVATE: u8 = 1;
pub(crate) const ONE_ADDRESS: u8 = 2;
pub(crate) const SECONDARY: u8 = 4;
pub(crate) const TRUNCATED: u8 = 8;
pub(crate) const QUALIFIED: u8 = 16;
pub(crate) const REQUIRED: u8 = 32;
/// A client that the server knows sends the right authentication value: no fuzzer finds it by itself.
pub(crate) const SIGNED: u8 = 64;

/// The clients that the server shares a secret with, if it is told so; the second one's is retired.
pub(crate) const CLIENTS: [(&[u8], &[u8]); 2] = [
    (b"client", b"correct horse battery"),
    (b"other", b"another secret of length"),
];

/// A configuration file, and a file of keys. Whatever is in it, each fault can be shown, in many lines and in one.
pub(crate) fn conf(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parsed = conf::parse(Path::new("fuzz.conf"), &text, Overrides::default());
    let has_error = |fault: &Diagnostic| fault.severity == Severity::Error;
    assert_eq!(
        parsed.config.is_none(),
        parsed.diagnostics.iter().any(has_error)
    );
    let keys = KeyFile::parse(Path::new("fuzz.keys"), data);
    for fault in parsed.diagnostics.iter().chain(&keys.diagnostics) {
        assert!(!fault.to_string().is_empty());
        assert_eq!(fault.headline().to_string().lines().count(), 1);
    }
}

/// One datagram through the whole server. Input: a byte of bits, IPv4 source, source port, datagram.
pub(crate) fn handle(data: &[u8]) {
    let &[bits, a, b, c, d, p0, p1, ref bytes @ ..] = data else {
        return;
    };
    let settings = settings(bits);
    let bytes = bytes.get(..DATAGRAM_MAX).unwrap_or(bytes);
    let bytes = with_value(bits, bytes);
    let arrival = Arrival {
        bytes: &bytes,
        truncated: bits & TRUNCATED != 0,
        from: SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([p0, p1])),
        via: if bits & SECONDARY == 0 {
            Via::Primary
        } else {
            Via::Secondary
        },
        at: Instant::now(),
    };
    let mut out = [0; REPLY_MAX];
    let verdict = Server::new(settings.clone()).handle(&arrival, &mut out);
    invariants::check(&settings, &arrival, &verdict, &out);
}

/// The settings that [`handle`] runs with; those of the vectors, but for what `bits` says.
pub(crate) fn settings(bits: u8) -> Settings {
    Settings {
        primary: Ipv4Addr::new(192, 0, 2, 1),
        secondary: (bits & ONE_ADDRESS == 0).then_some(Ipv4Addr::new(192, 0, 2, 2)),
        own: vec![
            Ipv4Addr::new(198, 51, 100, 99).into(),
            Ipv4Addr::LOCALHOST.into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 1).into(),
            Ipv6Addr::LOCALHOST.into(),
        ],
        broadcasts: vec![
            Ipv4Addr::new(203, 0, 113, 255),
            Ipv4Addr::new(198, 51, 100, 255),
        ],
        policy: Policy {
            prefix: ServicePrefix::GLOBAL,
            mtu: 1280,
            allow_private: bits & PRIVATE != 0,
            rate_limit: None,
            qualification: (bits & QUALIFIED != 0).then(|| Qualification {
                required: bits & REQUIRED != 0,
                keys: CLIENTS.map(client_key).into(),
            }),
        },
    }
}

fn client_key((identifier, secret): (&[u8], &[u8])) -> ClientKey {
    ClientKey {
        identifier: Octets::new(identifier.into()),
        secret: Octets::new(secret.into()),
        retired: identifier == CLIENTS[1].0,
    }
}

/// The datagram with the right value in place of the one that it has, if `bits` say so and its client has a key.
pub(crate) fn with_value(bits: u8, bytes: &[u8]) -> Vec<u8> {
    let value = |datagram: &Datagram<'_>| {
        let header = datagram.authentication?;
        let named = |client: &&(&[u8], &[u8])| client.0 == header.identifier;
        let (_, secret) = CLIENTS.iter().find(named)?;
        let key = Authenticator::new(&Octets::new(secret.to_vec()))?;
        Some((header.nonce_at(), key.value(datagram.clear_text())))
    };
    let mut bytes = bytes.to_vec();
    let signed = Datagram::parse(&bytes).ok().as_ref().and_then(value);
    if let Some((end, value)) = signed.filter(|_| bits & SIGNED != 0)
        && let Some(header) = bytes.get_mut(..end)
        && header.get(3) == Some(&20)
        && let Some(place) = header.last_chunk_mut()
    {
        *place = value;
    }
    bytes
}

/// Every view and value: what parses is written back as it was.
pub(crate) fn wire(data: &[u8]) {
    if let Some(trailers) = Trailers::parse(data) {
        let lengths = trailers.iter().map(|trailer| trailer.value.len() + 2);
        assert_eq!(lengths.sum::<usize>(), data.len());
    }
    if let Some(options) = Options::parse(data) {
        let lengths = options.iter().map(|option| option.data.len() + 2);
        assert_eq!(lengths.sum::<usize>(), data.len());
        for option in options.iter() {
            let _ = (option.prefix(), option.mtu());
        }
    }
    let Ok(datagram) = Datagram::parse(data) else {
        return;
    };
    let mut out = vec![0xaa; data.len()];
    let left = emit(&datagram, &mut out).map(|left| left.len());
    assert_eq!(left, Some(datagram.rest.len()));
    let written = out.len() - datagram.rest.len();
    assert_eq!(out.get(..written), data.get(..written));
    messages(&datagram.packet);
}

fn emit<'o>(datagram: &Datagram<'_>, mut out: &'o mut [u8]) -> Option<&'o mut [u8]> {
    if let Some(authentication) = datagram.authentication {
        out = authentication.emit(out)?;
    }
    if let Some(origin) = datagram.origin {
        out = origin.emit(out)?;
    }
    miredo_server::wire::put(out, datagram.packet.bytes())
}

/// A message that parses comes back the same when it is written and read again.
fn messages(packet: &Packet<'_>) {
    let mut out = [0xaa; HEADER_LEN + 65_535];
    let header = packet.header();
    assert!(header.emit(&mut out).is_some());
    if let Ok(echo) = Echo::parse(packet) {
        assert!(
            echo.emit(
                &mut out,
                header.source,
                header.destination,
                header.hop_limit
            )
            .is_some()
        );
        assert_eq!(reread(&out, Echo::parse), Some(echo));
    }
    if let Ok(solicitation) = RouterSolicitation::parse(packet) {
        assert!(solicitation.emit(&mut out).is_some());
        assert_eq!(reread(&out, RouterSolicitation::parse), Some(solicitation));
    }
    if let Ok(advertisement) = RouterAdvertisement::parse(packet) {
        assert!(advertisement.emit(&mut out).is_some());
        assert_eq!(
            reread(&out, RouterAdvertisement::parse),
            Some(advertisement)
        );
    }
}

fn reread<'a, T, E>(bytes: &'a [u8], parse: impl FnOnce(&Packet<'a>) -> Result<T, E>) -> Option<T> {
    let (packet, _) = Packet::split(bytes).ok()?;
    parse(&packet).ok()
}

/// What a client has sent to the exporter of metrics: it is asked for more, but not without end, or it gets one whole answer.
pub(crate) fn request(data: &[u8]) {
    let Some(answer) = request::answer(data, &|format| format!("{format:?}")) else {
        assert!(data.len() < request::MAX_LEN, "no end");
        return;
    };
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let (head, length) = head.rsplit_once("\r\nContent-Length: ").unwrap_or_default();
    // HEAD is answered without the body.
    assert!(body.is_empty() || length == body.len().to_string());
    assert!(head.starts_with("HTTP/1.1 ") && length != "0");
}

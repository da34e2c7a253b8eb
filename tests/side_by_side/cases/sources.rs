//! IPv4 sources that are no global unicast address (RFC 4380 section 5.2.4), and the edges around them.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{ADDRESSES, Case, only_ours_refuses};
use crate::packet::{
    CLIENT, ECHO_REQUEST, NATIVE, NEWCOMER, PEER, PORT, PRIMARY, Packet, SECONDARY, authentication,
    ours,
};
use crate::rows::{GLOBAL_IPV4, NATIVE_HEADER};

const DIRECTED_BROADCAST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 255);

/// What the C server makes of a source.
enum Reference {
    /// As ours does.
    Agrees,
    /// Takes it, unlike ours.
    Takes,
    /// Takes it, unlike ours, but cannot answer: the kernel does not send there.
    TakesInVain,
}

pub(crate) fn cases() -> Vec<Case> {
    let port = CLIENT.port();
    let addresses = ADDRESSES
        .into_iter()
        .filter(|(_, address)| !unroutable(*address));
    let addresses = addresses.map(|(what, address)| {
        (
            format!("{address}, {what}"),
            SocketAddrV4::new(address, port),
        )
    });
    let sockets = [
        ("port 0", SocketAddrV4::new(*CLIENT.ip(), 0)),
        ("port 1", SocketAddrV4::new(*CLIENT.ip(), 1)),
        ("port 53", SocketAddrV4::new(*CLIENT.ip(), 53)),
        ("the Teredo port", SocketAddrV4::new(*CLIENT.ip(), PORT)),
        ("port 65535", SocketAddrV4::new(*CLIENT.ip(), u16::MAX)),
        ("the primary address", SocketAddrV4::new(PRIMARY, PORT)),
        ("the secondary address", SocketAddrV4::new(SECONDARY, PORT)),
        (
            "another port of the primary address",
            SocketAddrV4::new(PRIMARY, 1),
        ),
        (
            "another port of the secondary address",
            SocketAddrV4::new(SECONDARY, 1),
        ),
    ];
    let sockets = sockets.map(|(what, from)| (what.to_owned(), from));
    addresses
        .chain(sockets)
        .flat_map(|(what, from)| three(&what, from))
        .collect()
}

/// What Linux drops before any server could see it, whatever its settings (ip_route_input_slow).
fn unroutable(address: Ipv4Addr) -> bool {
    address.octets()[0] == 0 || address.is_multicast() || address.is_broadcast()
}

fn reference(from: SocketAddrV4) -> Reference {
    match (*from.ip(), from.port()) {
        (DIRECTED_BROADCAST, _) | (_, 0) => Reference::TakesInVain,
        (address, _) if only_ours_refuses(address) => Reference::Takes,
        _ => Reference::Agrees,
    }
}

/// One of each kind from `from`: a server refuses or takes all three.
fn three(what: &str, from: SocketAddrV4) -> [Case; 3] {
    let solicitation = [
        authentication(0, 0, 11, 0),
        Packet::solicitation(NEWCOMER, &[]).bytes(),
    ]
    .concat();
    let bubble = Packet::bubble(ours(from), ours(PEER)).bytes();
    let echo = Packet::echo(ours(from), NATIVE, ECHO_REQUEST, 16).bytes();
    let solicitation = Case::new(format!("solicitation from {what}"), solicitation).from(from);
    let bubble = Case::new(format!("bubble from {what}"), bubble).from(from);
    let echo = Case::new(format!("echo request from {what}"), echo).from(from);
    match reference(from) {
        Reference::Takes => [
            solicitation.row(&GLOBAL_IPV4),
            bubble.row(&GLOBAL_IPV4),
            echo.row(&GLOBAL_IPV4),
        ],
        Reference::TakesInVain => [
            solicitation,
            bubble.row(&GLOBAL_IPV4),
            echo.row(&GLOBAL_IPV4),
        ],
        Reference::Agrees => [
            solicitation,
            bubble,
            echo.row_if(both_accept(from), &NATIVE_HEADER),
        ],
    }
}

fn both_accept(from: SocketAddrV4) -> bool {
    let address = *from.ip();
    let local = address.is_private() || address.is_loopback() || address.is_link_local();
    let own = [PRIMARY, SECONDARY].contains(&address) && from.port() == PORT;
    !local && !own
}

//! Echo to the server itself (RFC 4380 section 5.3.1).

use std::net::SocketAddrV4;

use super::{Case, ECHO_LEN, ECHOES};
use crate::packet::*;
use crate::rows::{ECHO_TO_SERVER, OWN_ADDRESS};

pub(crate) fn cases() -> Vec<Case> {
    [who(), what()].into_iter().flatten().collect()
}

fn who() -> Vec<Case> {
    let clients = [
        ("own Teredo", ours(CLIENT)),
        ("own Teredo of another server", teredo(OTHER_SERVER, CLIENT)),
    ];
    let others = [
        (
            "Teredo with another port",
            ours(SocketAddrV4::new(*CLIENT.ip(), CLIENT.port() + 1)),
        ),
        ("link-local", NEWCOMER),
        ("cone link-local", CONE_NEWCOMER),
        ("native", NATIVE),
    ];
    let ignored = [
        ("the secondary's link-local", server_link_local(SECONDARY)),
        ("all routers", ALL_ROUTERS),
    ];
    let own = ours(SocketAddrV4::new(PRIMARY, PORT));
    let mut cases = Vec::new();
    for (who, source) in clients.into_iter().chain(others) {
        let is_client = clients.iter().any(|(_, client)| *client == source);
        for (kind_name, kind) in ECHOES {
            let to = |whom: &str, destination| {
                let bytes = Packet::echo(source, destination, kind, ECHO_LEN).bytes();
                Case::new(format!("{kind_name} from {who} to {whom} itself"), bytes)
            };
            cases.extend(ignored.map(|(whom, destination)| to(whom, destination)));
            let answered = is_client && kind == ECHO_REQUEST;
            cases.push(
                to("the server's link-local", server_link_local(PRIMARY))
                    .row_if(answered, &ECHO_TO_SERVER),
            );
            let accepted = is_client || !who.starts_with("Teredo");
            cases.push(to("the server's Teredo address", own).row_if(accepted, &OWN_ADDRESS));
        }
    }
    cases
}

fn what() -> Vec<Case> {
    let server = server_link_local(PRIMARY);
    let echo = Packet::echo(ours(CLIENT), server, ECHO_REQUEST, ECHO_LEN);
    let request =
        |what: &str, bytes| Case::new(format!("echo request to the server itself, {what}"), bytes);
    let mut cases = vec![
        request("at the secondary", echo.bytes())
            .to(SECONDARY)
            .row(&ECHO_TO_SERVER),
    ];
    for hop_limit in [0, 1, 255] {
        let bytes = echo.clone().hop_limit(hop_limit).bytes();
        cases.push(request(&format!("hop limit {hop_limit}"), bytes).row(&ECHO_TO_SERVER));
    }
    for len in [4, 7, 8, 88, 89, 1240] {
        let bytes = Packet::echo(ours(CLIENT), server, ECHO_REQUEST, len).bytes();
        cases.push(
            request(&format!("{len} octets"), bytes)
                .row_if((8..=88).contains(&len), &ECHO_TO_SERVER),
        );
    }
    let mut broken = echo.clone();
    broken.payload[2..4].copy_from_slice(&[0x12, 0x34]);
    cases.push(request("wrong checksum", broken.bytes()));
    cases.push(request(
        "code 1",
        Packet::icmp6(ours(CLIENT), server, ECHO_REQUEST, 1, &[0; ECHO_LEN - 4]).bytes(),
    ));
    for (what, head) in [
        ("authentication", authentication(0, 0, 7, 0)),
        ("origin indication", origin(PEER)),
    ] {
        let bytes = [head, echo.bytes()].concat();
        cases.push(request(&format!("behind {what}"), bytes).row(&ECHO_TO_SERVER));
    }
    let tail = [echo.bytes(), trailer(1, &[1, 2, 3, 4])].concat();
    cases.push(request("with a nonce trailer", tail).row(&ECHO_TO_SERVER));
    cases
}

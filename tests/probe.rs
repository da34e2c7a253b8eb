//! teredo-probe(8) against a server, half a server and none.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.

mod harness;

use std::net::Ipv4Addr;
use std::process::Command;

use harness::{Scratch, Server, addresses, has, output};

/// Exit code and output of the probe.
fn probe(arguments: &[&str], server: Ipv4Addr) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_teredo-probe"));
    let ended = output(command.args(arguments).arg(server.to_string()));
    (
        ended.status.code(),
        String::from_utf8(ended.stdout).unwrap(),
    )
}

#[test]
fn a_server_with_two_addresses() {
    let (primary, secondary) = addresses();
    if !has(secondary) {
        return;
    }
    let scratch = Scratch::new();
    let server = Server::start(
        Command::new(scratch.program())
            .arg("--local")
            .arg(primary.to_string()),
    );
    let (code, said) = probe(&[], primary);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((code, lines.len()), (Some(0), 5), "{said}");
    let [a, b, c, d] = primary.octets();
    let prefix = format!(
        "prefix 2001:0:{:x}:{:x}::/64, MTU 1280",
        u16::from_be_bytes([a, b]),
        u16::from_be_bytes([c, d])
    );
    assert!(
        lines[0].starts_with(&format!("{primary}: answered after ")),
        "{said}"
    );
    assert_eq!(lines[1], prefix);
    assert!(lines[2].starts_with("mapped address 127.0.0.1:"), "{said}");
    assert!(
        lines[3].starts_with(&format!("{secondary}: answered after ")),
        "{said}"
    );
    assert!(
        lines[4].starts_with(&format!("cone solicitation: answered from {secondary}")),
        "{said}"
    );
    server.stop();
}

#[test]
fn a_server_with_one_address() {
    let (primary, secondary) = addresses();
    let scratch = Scratch::new();
    let config = scratch.write("conf", "ServerBindAddress2 none\n");
    let mut command = Command::new(scratch.program());
    let server = Server::start(
        command
            .arg("--local")
            .arg("-c")
            .arg(config)
            .arg(primary.to_string()),
    );
    let (code, said) = probe(&["-w", "50"], primary);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("{secondary}: no answer")), "{said}");
    assert!(said.contains("cone solicitation: no answer"), "{said}");
    server.stop();
}

#[test]
fn no_server() {
    let (primary, _) = addresses();
    let (code, said) = probe(&["-w", "50"], primary);
    assert_eq!(code, Some(1));
    assert!(said.starts_with(&format!("{primary}: no answer")), "{said}");
}

#[test]
fn a_command_line_fault_exits_2() {
    let (primary, _) = addresses();
    assert_eq!(probe(&["-w", "0"], primary).0, Some(2));
}

#[test]
fn an_address_that_nothing_may_be_sent_to() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_teredo-probe"));
    let ended = output(command.arg("255.255.255.255"));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    // The BSDs and macOS let it connect, and refuse the send.
    let expected = match cfg!(target_os = "linux") {
        true => "connect 255.255.255.255: not permitted",
        false => " 255.255.255.255",
    };
    assert!(said.contains(expected), "{said}");
}

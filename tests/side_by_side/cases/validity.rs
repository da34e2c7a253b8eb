//! Router Solicitations that RFC 4861 section 6.1.1 calls valid, or not.

use super::{Case, LINK_LAYER, secured, solicitation};
use crate::packet::*;
use crate::rows::{LONG_DATAGRAM, SOLICITATION_VALIDITY};

pub(crate) fn cases() -> Vec<Case> {
    [options(), fields()].into_iter().flatten().collect()
}

fn options() -> Vec<Case> {
    let with = |what: &str, options: &[u8]| {
        let packet = Packet::solicitation(NEWCOMER, options);
        Case::new(format!("solicitation with {what}"), secured(&packet))
    };
    let valid: [(&str, Vec<u8>); 7] = [
        ("a source link-layer address", LINK_LAYER.to_vec()),
        ("two source link-layer addresses", LINK_LAYER.repeat(2)),
        ("a nonce option", vec![14, 1, 1, 2, 3, 4, 5, 6]),
        ("an unknown option", vec![250, 1, 0, 0, 0, 0, 0, 0]),
        ("an option of length 31", option(31)),
        ("an option of length 32", option(32)),
        ("1,200 octets of options", LINK_LAYER.repeat(150)),
    ];
    let invalid: [(&str, Vec<u8>); 9] = [
        ("a zero-length option", vec![1, 0, 2, 0, 0, 0, 0, 1]),
        (
            "a zero-length option after a good one",
            [LINK_LAYER, [1, 0, 0, 0, 0, 0, 0, 0]].concat(),
        ),
        ("an option past the end", vec![1, 2, 2, 0, 0, 0, 0, 1]),
        (
            "an option past the end after a good one",
            [LINK_LAYER, [1, 2, 0, 0, 0, 0, 0, 0]].concat(),
        ),
        (
            "an option of length 255 past the end",
            vec![1, 255, 0, 0, 0, 0, 0, 0],
        ),
        ("1 octet of options", vec![1]),
        ("2 octets of options", vec![1, 1]),
        ("7 octets of options", LINK_LAYER[..7].to_vec()),
        ("9 octets of options", [&LINK_LAYER[..], &[0]].concat()),
    ];
    let mut cases: Vec<_> = valid
        .iter()
        .map(|(what, options)| with(what, options))
        .collect();
    cases.extend(
        invalid
            .iter()
            .map(|(what, options)| with(what, options).row(&SOLICITATION_VALIDITY)),
    );
    cases.push(with("an option of length 255", &option(255)).row(&LONG_DATAGRAM));
    cases
}

/// A source link-layer address that takes `units` of 8 octets.
fn option(units: u8) -> Vec<u8> {
    let mut option = vec![1, units];
    option.resize(usize::from(units) * 8, 0);
    option
}

/// Fields of the two headers that RFC 4861 section 6.1.1 constrains, or that nobody should look at.
fn fields() -> Vec<Case> {
    let mut cases = Vec::new();
    for hop_limit in [0, 1, 2, 64, 254] {
        let packet = solicitation().hop_limit(hop_limit);
        let case = Case::new(
            format!("solicitation with hop limit {hop_limit}"),
            secured(&packet),
        );
        cases.push(case.row(&SOLICITATION_VALIDITY));
    }
    for code in [1, 127, 255] {
        let packet = Packet::icmp6(NEWCOMER, ALL_ROUTERS, ROUTER_SOLICITATION, code, &[0; 4]);
        let case = Case::new(format!("solicitation with code {code}"), secured(&packet));
        cases.push(case.row(&SOLICITATION_VALIDITY));
    }
    for (what, sum) in [
        ("of zero", [0, 0]),
        ("of ones", [0xff, 0xff]),
        ("that is wrong", [0x12, 0x34]),
    ] {
        let mut packet = solicitation();
        packet.payload[2..4].copy_from_slice(&sum);
        let case = Case::new(
            format!("solicitation with a checksum {what}"),
            secured(&packet),
        );
        cases.push(case.row(&SOLICITATION_VALIDITY));
    }
    let reserved = Packet::icmp6(NEWCOMER, ALL_ROUTERS, ROUTER_SOLICITATION, 0, &[0xff; 4]);
    cases.push(Case::new(
        "solicitation with its reserved octets set",
        secured(&reserved),
    ));
    for first in [0x00, 0x40, 0x45, 0x50, 0x6f, 0x70, 0xf0] {
        let mut bytes = secured(&solicitation());
        bytes[13] = first;
        cases.push(Case::new(
            format!("solicitation whose packet starts with {first:#x}"),
            bytes,
        ));
    }
    let mut labelled = secured(&solicitation());
    labelled[14..17].copy_from_slice(&[0xff, 0xff, 0xff]);
    cases.push(Case::new("solicitation with a flow label", labelled));
    for next_header in [0, 1, 6, 17, 43, 44, 50, 51, NO_NEXT_HEADER, 60, 135, 255] {
        let packet = solicitation().next_header(next_header);
        cases.push(Case::new(
            format!("solicitation with next header {next_header}"),
            secured(&packet),
        ));
    }
    cases
}

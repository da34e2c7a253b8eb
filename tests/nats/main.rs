//! teredo-probe(1) behind NATs of every kind, against this server and the C one: verdicts, clients that meet, the way to a
//! native address. Root only; [`topology`] has the picture.
#![cfg(test)]
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

#[path = "../lab/mod.rs"]
mod lab;
mod topology;

use std::process::Output;

use serde_json::Value;

use lab::{DEADLINE, Namespace, Process, Subject};
use topology::{Internet, NATIVE, Nat, PORT, SERVER};

const TOOLS: [&str; 4] = ["ip", "nft", "conntrack", C_SERVER];
const C_SERVER: &str = "/usr/sbin/miredo-server";
const PROBE: &str = env!("CARGO_BIN_EXE_teredo-probe");

/// What each kind is called, and whether it is said to keep ports.
const KINDS: [(Nat, &str, bool); 8] = [
    (Nat::Restricted, "restricted", true),
    (Nat::RestrictedShifted, "restricted", false),
    (Nat::RestrictedRejecting, "restricted", true),
    (Nat::AddressRestricted, "restricted", true),
    (Nat::Cone, "cone", true),
    (Nat::Hairpin, "cone", false),
    (Nat::Symmetric, "symmetric", false),
    (Nat::SymmetricFully, "symmetric", false),
];

fn subjects() -> [Subject; 2] {
    [Subject::ours(), Subject::at(C_SERVER)]
}

#[test]
fn each_nat_is_called_by_its_name() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new();
    for subject in subjects() {
        let server = internet.start(&subject);
        for (nat, name, preserving) in KINDS {
            internet.set_nat(nat);
            let reserved = [SERVER, "-p", PORT];
            let arguments = match nat {
                Nat::Hairpin => &reserved[..],
                _ => &reserved[..1],
            };
            let output = probe(&internet.a, &[&["--json"], arguments].concat());
            let verdict = last(&output);
            assert_eq!(verdict["nat"], name, "{nat:?}: {verdict}");
            assert_eq!(verdict["port_preserving"], preserving, "{nat:?}: {verdict}");
            // Symmetric, too: it is not the server's fault.
            assert_eq!(output.status.code(), Some(0), "{nat:?}");
            let has_address = verdict["teredo_address"].is_string();
            assert_eq!(has_address, name != "symmetric", "{nat:?}: {verdict}");
        }
        let output = probe(&internet.relay, &["--json", SERVER]);
        assert_eq!(last(&output)["nat"], "none");
        assert!(server.stop().success());
    }
}

#[test]
fn clients_meet_through_a_server() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new();
    for subject in subjects() {
        let server = internet.start(&subject);
        for nat in [
            Nat::Restricted,
            Nat::RestrictedShifted,
            Nat::AddressRestricted,
            Nat::Cone,
        ] {
            internet.set_nat(nat);
            let (listener, address) = listen(&internet.a, &[SERVER]);
            let output = probe(&internet.b, &["--ping", &address, "-n", "2", "-i", "0.2"]);
            assert!(output.status.success(), "{nat:?}: {output:?}");
            drop(listener);
            // The other way round.
            let (_listener, address) = listen(&internet.b, &[SERVER]);
            let output = probe(&internet.a, &["--ping", &address, "-n", "2", "-i", "0.2"]);
            assert!(output.status.success(), "{nat:?}: {output:?}");
        }
        internet.set_nat(Nat::Symmetric);
        let output = probe(&internet.a, &["--listen", SERVER]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(server.stop().success());
    }
}

/// Two behind one NAT: each sees the other where the NAT puts it, if the NAT hairpins; if not, it is said.
#[test]
fn clients_behind_one_nat_meet_where_it_hairpins() {
    if !lab::require(&TOOLS) {
        return;
    }
    let internet = Internet::new();
    let _server = internet.start(&Subject::ours());
    for (nat, meet) in [
        (Nat::Hairpin, true),
        (Nat::HairpinInner, true),
        (Nat::Reserved, false),
    ] {
        internet.set_nat(nat);
        let (_listener, address) = listen(&internet.a, &["-p", PORT, SERVER]);
        let arguments = ["-p", PORT, "--ping", &address, "-n", "3", "-i", "0.5"];
        let output = probe(&internet.beside, &arguments);
        assert_eq!(output.status.success(), meet, "{nat:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            said.contains("would have to hairpin"),
            !meet,
            "{nat:?}: {said}"
        );
    }
}

/// RFC 4380 section 5.2.9, with miredo as the relay.
#[test]
fn the_way_to_a_native_address() {
    let tools = [&TOOLS[..], &["miredo", "ping", "/dev/net/tun"]].concat();
    if !lab::require(&tools) {
        return;
    }
    let internet = Internet::new();
    internet.set_nat(Nat::Restricted);
    let _server = internet.start(&Subject::ours());
    let native = NATIVE.to_string();
    let test = |expected: &str| {
        let output = probe(
            &internet.a,
            &["--json", "-t", "4", "--native", &native, SERVER],
        );
        assert_eq!(last(&output)["outcome"], expected, "{output:?}");
        assert_eq!(output.status.success(), expected == "answered");
    };
    test("nothing");
    let _relay = relay(&internet.relay);
    test("answered");

    let (listener, address) = listen(&internet.a, &[SERVER]);
    let deadline = DEADLINE.as_secs();
    let ping = format!("ping -n -i 0.2 -c 3 -w {deadline} {address}");
    internet.native.run(&ping);
    assert!(
        listener
            .output()
            .contains(&format!("echo request from {NATIVE}"))
    );

    internet.drop_relay();
    test("relay-only");
}

/// The probe, to its end.
fn probe(host: &Namespace, arguments: &[&str]) -> Output {
    host.command(PROBE, arguments).output().unwrap()
}

/// The last object that it printed.
fn last(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().last();
    let line = line.unwrap_or_else(|| panic!("nothing on standard output: {output:?}"));
    serde_json::from_str(line).unwrap()
}

/// A client that listens, and its address.
fn listen(host: &Namespace, arguments: &[&str]) -> (Process, String) {
    let listener = host.spawn(PROBE, &[&["--listen"], arguments].concat());
    listener.wait_for_output("Teredo address: ", DEADLINE);
    // Lines come whole.
    let said = listener.output();
    let mut lines = said.lines();
    let address = lines.find_map(|line| line.strip_prefix("Teredo address: "));
    (listener, address.unwrap().to_owned())
}

/// A relay that serves, and its files.
fn relay(host: &Namespace) -> (Process, lab::PrivateDir) {
    let directory = lab::PrivateDir::new();
    let configuration = directory.write("relay.conf", "RelayType cone\nInterfaceName teredo\n");
    let pid_file = directory.path().join("pid");
    let [configuration, pid_file] = [&configuration, &pid_file].map(|path| path.to_str().unwrap());
    let process = host.spawn("miredo", &["-f", "-c", configuration, "-p", pid_file]);
    lab::wait_until("the relay's route", DEADLINE, || {
        host.ip("-6 route show 2001::/32").contains("teredo")
    });
    (process, directory)
}

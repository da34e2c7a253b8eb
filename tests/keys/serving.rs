//! A server with secure qualification, asked by clients that compute what they send by themselves.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hmac::{Hmac, KeyInit, Mac};
use nix::sys::signal::{Signal, kill};
#[cfg(target_os = "linux")]
use nix::unistd::Pid;
use sha1::Sha1;

use crate::harness::{self, Client, Scratch, Server, addresses, solicitation};
use crate::keys;

/// Like nothing else in a process.
const SECRET: &[u8; 24] = b"\xd1\x0c\x9eLike nothing else\x07\xf3\x80\x1b";
const OTHER: &[u8; 24] = b"\xe2\x1d\xafLike nothing else\x18\x04\x91\x2c";

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn value(secret: &[u8], text: &[u8]) -> [u8; 20] {
    let mac = Hmac::<Sha1>::new_from_slice(secret).unwrap();
    mac.chain_update(text).finalize().into_bytes().into()
}

/// A solicitation of "client" with this secret.
fn authenticated(nonce: u64, secret: &[u8]) -> Vec<u8> {
    let plain = solicitation(nonce, false);
    let covered = &plain[4..];
    [
        &[0, 1, 6, 20],
        &b"client"[..],
        &value(secret, covered),
        covered,
    ]
    .concat()
}

/// Asks, and verifies the answer: its confirmation byte, or nothing if the next question is answered first.
fn confirmation(
    client: &Client,
    server: Ipv4Addr,
    nonce: u64,
    secret: &[u8],
    known: &[u8],
) -> Option<u8> {
    for (nonce, secret) in [(nonce, secret), (nonce + 1, known)] {
        client
            .socket
            .send_to(&authenticated(nonce, secret), (server, 3544))
            .unwrap();
    }
    let mut bytes = [0; 2048];
    let (len, _) = client
        .socket
        .recv_from(&mut bytes)
        .expect("an advertisement");
    assert_eq!(len, 143, "{bytes:02x?}");
    let (header, covered) = bytes[..len].split_at(30);
    assert_eq!(header[..10], *b"\x00\x01\x06\x14client");
    let is_first = covered[..8] == nonce.to_be_bytes();
    let secret = if is_first { secret } else { known };
    assert_eq!(header[10..], value(secret, covered));
    if is_first {
        // The answer to the other question, too.
        let _ = client.socket.recv(&mut [0]).expect("an advertisement");
    }
    is_first.then_some(covered[8])
}

fn configuration(scratch: &Scratch, primary: Ipv4Addr, demand: &str) -> PathBuf {
    let text = format!(
        "ServerBindAddress {primary}\nAllowPrivateAddresses yes\nWorkers 2\n\
         SecureQualification {demand}\nSecureQualificationKeys keys\n"
    );
    scratch.write("conf", &text)
}

fn start(scratch: &Scratch, config: &Path) -> Server {
    let mut command = Command::new(scratch.program());
    command.args(["-f", "-c"]).arg(config);
    Server::start(command.arg("-p").arg(scratch.path("pid")))
}

fn client_line(secret: &[u8], more: &str) -> String {
    format!("client hmac-sha1 {}{more}\n", hex(secret))
}

/// And keeps those it has while the file is faulty.
#[test]
fn a_reload_reads_keys() {
    if !harness::root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    keys(&scratch, &client_line(SECRET, ""));
    let config = configuration(&scratch, primary, "required");
    let mut server = start(&scratch, &config);
    let client = Client::new(primary);
    assert_eq!(confirmation(&client, primary, 1, SECRET, SECRET), Some(0));
    assert_eq!(confirmation(&client, primary, 3, OTHER, SECRET), None);
    // Who does not say who he is has no answer: the next one is answered first.
    client.solicit(primary, 5, false);
    assert_eq!(confirmation(&client, primary, 6, SECRET, SECRET), Some(0));

    for (wrong, said) in [
        (
            "client hmac-sha1 00\n",
            "keys:1:18: error: a secret of 1 octets",
        ),
        ("client\n", "keys:1:1: error: no algorithm"),
    ] {
        let worker = server.worker();
        keys(&scratch, wrong);
        server.signal(Signal::SIGHUP);
        server.expect(said);
        server.expect("not reloaded, still serving");
        assert_eq!(server.worker(), worker);
        assert_eq!(confirmation(&client, primary, 10, SECRET, SECRET), Some(0));
    }
    // A worker that replaces one that died has the old keys, too.
    kill(server.worker(), Signal::SIGKILL).unwrap();
    server.expect("serving again");
    assert_eq!(confirmation(&client, primary, 20, SECRET, SECRET), Some(0));

    keys(&scratch, &client_line(OTHER, " retired"));
    server.signal(Signal::SIGHUP);
    server.expect("configuration reloaded");
    assert_eq!(confirmation(&client, primary, 30, OTHER, OTHER), Some(1));
    assert_eq!(confirmation(&client, primary, 32, SECRET, OTHER), None);

    configuration(&scratch, primary, "optional");
    server.signal(Signal::SIGHUP);
    server.expect("configuration reloaded");
    client.ask(primary, 40);
    server.stop();
}

/// How often these bytes are in what a process can write to.
#[cfg(target_os = "linux")]
fn occurrences(pid: Pid, needle: &[u8]) -> usize {
    use std::os::unix::fs::FileExt;

    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut count = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut bytes = vec![0; (end - start) as usize];
        // Some are the kernel's.
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            let found = bytes
                .windows(needle.len())
                .filter(|window| *window == needle);
            count += found.count();
        }
    }
    count
}

/// The monitor keeps each secret once, for the next worker. A worker keeps what it computes with, and never the secret.
#[test]
#[cfg(target_os = "linux")]
fn secrets_stay_secret() {
    if !harness::root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    // So many that every buffer of the way has to grow.
    let more: String = (0..500)
        .map(|number| format!("c{number} hmac-sha1 {}\n", hex(OTHER)))
        .collect();
    keys(&scratch, &(client_line(SECRET, "") + &more));
    let config = configuration(&scratch, primary, "optional");
    let mut server = start(&scratch, &config);
    let client = Client::new(primary);
    for reload in [false, true] {
        if reload {
            server.signal(Signal::SIGHUP);
            server.expect("configuration reloaded");
        }
        assert_eq!(confirmation(&client, primary, 1, SECRET, SECRET), Some(0));
        let (monitor, worker) = (server.pid(), server.worker());
        let counts = [monitor, worker].map(|pid| {
            (
                occurrences(pid, SECRET),
                occurrences(pid, hex(SECRET).as_bytes()),
            )
        });
        assert_eq!(
            counts,
            [(1, 0), (0, 0)],
            "monitor and worker: octets, digits; reload: {reload}"
        );
        // The search finds what is there.
        assert!(occurrences(worker, b"client") > 0);
        for pid in [monitor, worker] {
            for file in ["cmdline", "environ"] {
                let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap();
                for needle in [&SECRET[..], hex(SECRET).as_bytes()] {
                    assert!(
                        !bytes.windows(needle.len()).any(|window| window == needle),
                        "{file}"
                    );
                }
            }
        }
    }
    server.stop();
}

/// What the probe says of a server that has a key, with what its file of keys says.
fn probe(scratch: &Scratch, server: Ipv4Addr, line: &str) -> (Option<i32>, String) {
    let file = scratch.write("own", line);
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_teredo-probe"));
    command.args(["-1", "-t", "2", "--key"]).arg(file);
    let ended = harness::output(command.arg(server.to_string()));
    let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    (ended.status.code(), said)
}

/// The probe proves who it is, and has the server prove itself.
#[test]
fn both_sides_prove() {
    if !harness::root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    keys(&scratch, &client_line(SECRET, ""));
    let config = configuration(&scratch, primary, "required");
    let mut server = start(&scratch, &config);
    let expect = |line: &str, code, words: &str| {
        let (ended, said) = probe(&scratch, primary, line);
        assert!(ended == Some(code) && said.contains(words), "{said}");
    };
    let right = client_line(SECRET, "");
    expect(&right, 0, "works, answers after");
    expect(&client_line(OTHER, ""), 1, "no answer");
    let unknown = right.replace("client", "somebody");
    expect(&unknown, 1, "no answer");
    expect(
        &(right.clone() + &unknown),
        2,
        "the keys of 2 clients, not of one",
    );
    expect("client\n", 2, "own:1:1: error: no algorithm after this");
    expect("", 2, "no client in it");

    keys(&scratch, &client_line(SECRET, " retired"));
    server.signal(Signal::SIGHUP);
    server.expect("configuration reloaded");
    expect(&right, 0, "the key is retired: obtain another one");

    // A server that has no keys gives an answer that proves nothing.
    configuration(&scratch, primary, "off");
    server.signal(Signal::SIGHUP);
    server.expect("configuration reloaded");
    expect(
        &right,
        1,
        "an advertisement without proof that it has the key",
    );
    server.stop();
}

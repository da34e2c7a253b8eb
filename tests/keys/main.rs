//! The file of `SecureQualificationKeys`, and what the server does with it.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

#[path = "../harness/mod.rs"]
mod harness;
mod serving;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Scratch, output};
use miredo_server::conf::{self, KeyFile, Overrides, Parsed};

/// Of 16 octets.
const SECRET: &str = "00112233445566778899aabbccddeeff";

fn parse(text: &str) -> KeyFile {
    KeyFile::parse(Path::new("test.keys"), text.as_bytes())
}

fn shown(file: &KeyFile) -> String {
    let mut text = String::new();
    for fault in &file.diagnostics {
        writeln!(text, "{fault}").unwrap();
    }
    text
}

#[test]
fn clients_are_read() {
    let file = parse(&format!(
        "# A client a line.\n\n\
         client hmac-sha1 {SECRET}\r\n\
         \tzoë\tHMAC-SHA1  {SECRET}00 Retired # a comment\n\
         0x00fFae hmac-sha1 000102030405060708090a0b0c0D0E0F\n\
         #0x01 hmac-sha1 {SECRET}\n\
         {} hmac-sha1 {SECRET}",
        "x".repeat(255)
    ));
    assert_eq!(shown(&file), "");
    let keys = file.keys.iter().map(|key| {
        let secret = key.secret.as_bytes();
        (key.identifier.as_bytes(), secret.len(), key.retired)
    });
    let expected = [
        (&b"client"[..], 16, false),
        ("zoë".as_bytes(), 17, true),
        (&[0x00, 0xff, 0xae], 16, false),
        (&[b'x'; 255], 16, false),
    ];
    assert_eq!(keys.collect::<Vec<_>>(), expected);
    let counting: Vec<u8> = (0..16).collect();
    assert_eq!(file.keys[2].secret.as_bytes(), counting);
}

/// Each is shown with its place.
#[test]
fn every_fault_without_a_secret() {
    let path = Path::new("tests/keys/bad.keys");
    let file = KeyFile::parse(path, &fs::read(path).unwrap());
    let text = shown(&file);
    let expected = fs::read_to_string("tests/keys/bad.expected").unwrap();
    assert_eq!(text, expected);
    assert!(!text.contains("2233"), "{text}");
}

/// Where there are many.
#[test]
fn the_first_faults_are_shown() {
    let file = parse(&"client\n".repeat(25));
    assert_eq!(file.diagnostics.len(), 21);
    let last = file.diagnostics.last().unwrap().to_string();
    assert_eq!(last, "test.keys: error: further faults, not shown: 5");
    assert_eq!(parse(&"client\n".repeat(20)).diagnostics.len(), 20);
}

#[test]
fn a_file_without_clients_is_said() {
    for text in ["", "# nobody\n"] {
        let file = parse(text);
        assert_eq!(shown(&file), "test.keys: warning: no client in it\n");
    }
}

/// A key file of a test, which is as it should be.
fn keys(scratch: &Scratch, text: &str) -> PathBuf {
    let path = scratch.write("keys", text);
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    path
}

fn load(scratch: &Scratch, directives: &str) -> Parsed {
    let text = format!("ServerBindAddress 192.0.2.1\n{directives}\n");
    conf::load(&scratch.write("conf", &text), Overrides::default())
}

/// The faults of a configuration, without the directory of the test.
fn faults(scratch: &Scratch, directives: &str) -> String {
    let parsed = load(scratch, directives);
    let faults = parsed.diagnostics.iter().map(|fault| format!("{fault}\n"));
    let directory = scratch.path("").display().to_string();
    faults.collect::<String>().replace(&directory, "")
}

#[test]
fn the_configuration_names_it() {
    let scratch = Scratch::new();
    let path = keys(&scratch, &format!("client hmac-sha1 {SECRET}\n"));
    let qualification = |demand: &str, path: &str| {
        let directives = format!("SecureQualification {demand}\nSecureQualificationKeys {path}");
        let parsed = load(&scratch, &directives);
        assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
        parsed.config.unwrap().service.policy.qualification.unwrap()
    };
    // By its path, and beside the configuration.
    for path in [path.to_str().unwrap(), "keys", "./keys"] {
        assert!(!qualification("optional", path).required);
        let required = qualification("Required", path);
        assert!(required.required);
        assert_eq!(required.keys.len(), 1);
        assert!(!format!("{required:?}").contains("51"), "a secret in Debug");
    }
    for off in ["", "SecureQualification off"] {
        let config = load(&scratch, off).config.unwrap();
        assert_eq!(config.service.policy.qualification, None);
    }
}

/// They are found in one run.
#[test]
fn faults_of_both_files() {
    let scratch = Scratch::new();
    keys(&scratch, &format!("client hmac-sha1 {SECRET}\nclient\n"));
    let directives = "SecureQualificationKeys keys\nSecureQualification required\nWorkers 0";
    assert_eq!(
        faults(&scratch, directives),
        "conf:4:9: error: Workers 0 is below 1\n    Workers 0\n            ^\n\
         keys:2:1: error: no algorithm after this\n    client\n    ^^^^^^\n    \
         help: a line is ID hmac-sha1 SECRET, or ID hmac-sha1 SECRET retired\n"
    );
    assert!(load(&scratch, directives).config.is_none());
}

#[test]
fn directives_go_together() {
    let scratch = Scratch::new();
    assert_eq!(
        faults(&scratch, "SecureQualification maybe"),
        "conf:2:21: error: maybe is none of off, optional and required\n    \
         SecureQualification maybe\n                        ^^^^^\n"
    );
    assert_eq!(
        faults(&scratch, "SecureQualification optional"),
        "conf:2:21: error: no SecureQualificationKeys\n    SecureQualification optional\n                        \
         ^^^^^^^^\n    help: write \"SecureQualificationKeys\" and the file of the keys\n"
    );
    // The file is not read.
    let unused = "conf:2:25: warning: no key is used: SecureQualification is off\n    \
                  SecureQualificationKeys missing\n                            ^^^^^^^\n";
    assert_eq!(faults(&scratch, "SecureQualificationKeys missing"), unused);
    let parsed = load(&scratch, "SecureQualificationKeys missing");
    assert!(parsed.config.is_some());
}

/// That is, one that others may use; and so is what is no regular file.
#[test]
fn an_open_file_is_refused() {
    let scratch = Scratch::new();
    let path = keys(&scratch, &format!("client hmac-sha1 {SECRET}\n"));
    let said = |name: &str| {
        let text = format!("SecureQualification optional\nSecureQualificationKeys {name}");
        faults(&scratch, &text)
    };
    assert_eq!(said("keys"), "");
    symlink(&path, scratch.path("link")).unwrap();
    assert_eq!(said("link"), "");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    assert_eq!(
        said("keys"),
        "conf:3:25: error: keys has mode 0640: others may use it\n    SecureQualificationKeys keys\n                            \
         ^^^^\n    help: run chmod 600 keys\n"
    );
    assert!(said("link").contains("link has mode 0640"));
    assert!(said("missing").contains("error: open missing: No such file"));
    assert!(said(".").contains(": not a regular file"));
    nix::unistd::mkfifo(&scratch.path("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(said("fifo").contains("error: fifo: not a regular file"));
    assert!(said("/dev/null").contains("error: /dev/null: not a regular file"));
    let large = fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(keys(&scratch, ""))
        .unwrap();
    large.set_len(conf::MAX_BYTES + 1).unwrap();
    assert!(said("keys").contains("keys: larger than 1048576 bytes: not a file of keys"));
}

#[test]
fn another_users_file_is_refused() {
    if !harness::root() {
        return;
    }
    let scratch = Scratch::new();
    let path = keys(&scratch, &format!("client hmac-sha1 {SECRET}\n"));
    chown(&path, Some(65534), None).unwrap();
    let directives = "SecureQualification optional\nSecureQualificationKeys keys";
    let said = faults(&scratch, directives);
    assert!(
        said.contains("error: keys belongs to the user 65534\n"),
        "{said}"
    );
}

/// As systemd makes it for a service with a user of its own: root's, and an access control list lets the user read it. Its mask
/// is what the mode shows for the group, by whose right this test reads it.
#[test]
fn a_systemd_credential_is_taken() {
    if !harness::root() {
        return;
    }
    let scratch = Scratch::new();
    let path = keys(&scratch, &format!("client hmac-sha1 {SECRET}\n"));
    fs::set_permissions(&path, PermissionsExt::from_mode(0o440)).unwrap();
    chown(&path, Some(0), Some(0)).unwrap();
    let config = format!(
        "ServerBindAddress 127.0.0.1\nAllowPrivateAddresses yes\n\
        SecureQualification required\nSecureQualificationKeys {}\n",
        path.display()
    );
    let config = scratch.write("conf", &config);
    let check = |credentials: &Path| {
        let mut check = Command::new(scratch.program());
        check.arg("-n").arg("-c").arg(&config);
        check
            .uid(65534)
            .gid(0)
            .env("CREDENTIALS_DIRECTORY", credentials);
        let ended = output(&mut check);
        (
            ended.status.code(),
            String::from_utf8(ended.stderr).unwrap(),
        )
    };
    let directory = path.parent().unwrap();
    assert_eq!(check(directory), (Some(0), String::new()));
    let (code, said) = check(Path::new("/run/credentials"));
    assert_eq!(code, Some(78));
    assert!(said.contains("has mode 0440: others may use it"), "{said}");
}

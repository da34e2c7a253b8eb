//! The command line, as far as it is read: what is taken, what is refused, and how.
#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a test fails by panicking")]

use clap::Parser;
use clap::error::ErrorKind;
use miredo_server::cli::{CONFIG_FILE, Options, PID_FILE};
use platform::Here;
use platform::accelerator::Accelerator;
use std::path::Path;

fn parse(line: &str) -> Result<Options, clap::Error> {
    Options::try_parse_from(std::iter::once("miredo-server").chain(line.split_whitespace()))
}

fn options(line: &str) -> Options {
    parse(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn nothing_is_the_service() {
    let options = options("");
    assert_eq!(options.config_file(), Some(Path::new(CONFIG_FILE)));
    assert_eq!(options.pid_file(), Some(Path::new(PID_FILE)));
    assert_eq!(options.user, None);
    assert_eq!((options.chroot, options.server_name), (None, None));
    assert!(!options.foreground && !options.check && !options.local);
}

#[test]
fn every_option_has_its_forms() {
    for line in [
        "-c /x",
        "-c/x",
        "--config /x",
        "--config=/x",
        "--conf /x",
        "--conf=/x",
        "--conf=/x",
    ] {
        assert_eq!(options(line).config_file(), Some(Path::new("/x")), "{line}");
    }
    for line in ["-f", "-ff", "-f --foreground", "--for"] {
        assert!(options(line).foreground, "{line}");
    }
    for line in [
        "-u x",
        "-ux",
        "--user x",
        "--user=x",
        "--username x",
        "--us x",
        "--u=x",
    ] {
        assert_eq!(options(line).user.as_deref(), Some("x"), "{line}");
    }
    for line in ["-p /x", "-p/x", "--pidfile /x", "--pidfile=/x", "--pid /x"] {
        assert_eq!(options(line).pid_file(), Some(Path::new("/x")), "{line}");
    }
    for line in [
        "-t /x",
        "-t/x",
        "--chroot /x",
        "--chroot=/x",
        "--chrootdir /x",
        "--chrootd=/x",
    ] {
        assert_eq!(
            options(line).chroot.as_deref(),
            Some(Path::new("/x")),
            "{line}"
        );
    }
    for line in ["-n", "--check", "--che"] {
        assert!(options(line).check, "{line}");
    }
    for line in ["--local", "--loc"] {
        assert!(options(line).local, "{line}");
    }
    for line in ["192.0.2.1", "-- 192.0.2.1", "192.0.2.1 -f", "-f 192.0.2.1"] {
        let name = options(line).server_name.map(|name| name.to_string());
        assert_eq!(name.as_deref(), Some("192.0.2.1"), "{line}");
    }
}

#[test]
fn short_options_share_a_dash() {
    let options = options("-fnu daemon -c/x teredo.example.org");
    assert!(options.foreground && options.check);
    assert_eq!(options.user.as_deref(), Some("daemon"));
    assert_eq!(options.config_file(), Some(Path::new("/x")));
    assert_eq!(
        options.server_name.unwrap().to_string(),
        "teredo.example.org"
    );
}

/// As getopt_long(3) has it, so that options that are appended override those of a service script.
#[test]
fn the_last_option_holds() {
    let options = options("-c /a -u a -p /a -t /a -n --config=/x -nu x --pidfile /x -t/x");
    assert_eq!(options.config_file(), Some(Path::new("/x")));
    assert_eq!(options.pid_file(), Some(Path::new("/x")));
    assert_eq!(options.chroot.as_deref(), Some(Path::new("/x")));
    assert_eq!(options.user.as_deref(), Some("x"));
    assert!(options.check);
}

#[test]
fn paths_hold_in_the_background() {
    let here = std::env::current_dir().unwrap();
    let options = options("-c conf -p pid -t dir");
    assert_eq!(options.config_file(), Some(here.join("conf").as_path()));
    assert_eq!(options.pid_file(), Some(here.join("pid").as_path()));
    assert_eq!(options.chroot, Some(here.join("dir")));
}

/// A trial touches no file unless asked.
#[test]
fn a_trial_touches_no_file() {
    assert_eq!(options("--local").config_file(), None);
    assert_eq!(options("--local").pid_file(), None);
    assert_eq!(
        options("--local -c /x").config_file(),
        Some(Path::new("/x"))
    );
    assert_eq!(options("--local -p /x").pid_file(), Some(Path::new("/x")));
    let config = options("--local").load().config.unwrap();
    assert_eq!(config.primary.to_string(), "127.0.0.1");
}

#[test]
fn a_check_writes_no_pid_file() {
    assert_eq!(options("-n").pid_file(), None);
}

/// A file that is asked for must exist.
#[test]
fn a_file_asked_for_must_exist() {
    let parsed = options("-c tests/conf/missing 192.0.2.1").load();
    assert!(parsed.config.is_none());
}

#[test]
fn help_and_version_are_no_faults() {
    for (line, kind, text) in [
        ("-h", ErrorKind::DisplayHelp, CONFIG_FILE),
        (
            "--help",
            ErrorKind::DisplayHelp,
            "Usage: miredo-server [OPTIONS] [SERVER_NAME]",
        ),
        ("--local -u x -h", ErrorKind::DisplayHelp, "--chrootdir"),
        ("-V", ErrorKind::DisplayVersion, "License: BSD-2-Clause"),
        (
            "--version",
            ErrorKind::DisplayVersion,
            env!("CARGO_PKG_VERSION"),
        ),
    ] {
        let shown = parse(line).unwrap_err();
        assert_eq!((shown.kind(), shown.exit_code()), (kind, 0), "{line}");
        assert!(shown.to_string().contains(text), "{line}: {shown}");
    }
}

/// etc/install.sh asks for this line.
#[test]
fn version_has_what_is_built_in() {
    let shown = parse("--version").unwrap_err().to_string();
    let accelerates = shown.lines().any(|line| line == "Accelerate: xdp");
    assert_eq!(accelerates, Here::BUILT_IN, "{shown}");
}

/// Faults exit with 2 and name what is wrong.
#[test]
fn faults_exit_2_and_are_named() {
    for (line, text) in [
        ("-x", "'-x'"),
        ("--bogus", "'--bogus'"),
        ("--ch /x", "'--ch'"), // --check or --chroot
        ("-c", "'--config <FILE>'"),
        ("--user", "'--user <USER>'"),
        ("--foreground=1", "'--foreground'"),
        ("192.0.2.1 192.0.2.2", "'192.0.2.2'"),
        ("-- 192.0.2.1 -f", "'-f'"),
        (
            "192.0.2",
            "192.0.2 is neither an IPv4 address nor a host name",
        ),
        ("--local -u nobody", "'--user <USER>'"),
        ("--local -t /x", "'--chroot <DIR>'"),
    ] {
        let fault = parse(line).unwrap_err();
        assert_eq!(fault.exit_code(), 2, "{line}");
        assert!(fault.use_stderr(), "{line}");
        assert!(fault.to_string().contains(text), "{line}: {fault}");
    }
}

//! Configuration files: `tests/conf/good` must load, `tests/conf/bad` must not, and each file's
//! diagnostics, with the configuration that comes of it, stand beside it in `NAME.expected`.
#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use miredo_server::conf::{self, Host, Overrides, Parsed, Severity};

#[test]
fn good_files_load() {
    for file in files("tests/conf/good") {
        let parsed = expect(&file);
        assert!(parsed.config.is_some(), "{}", file.display());
    }
}

#[test]
fn bad_files_do_not() {
    for file in files("tests/conf/bad") {
        let parsed = expect(&file);
        assert!(parsed.config.is_none(), "{}", file.display());
    }
}

/// Compares what comes of a file with what stands beside it.
fn expect(file: &Path) -> Parsed {
    let parsed = conf::load(file, Overrides::default());
    let expected = fs::read_to_string(file.with_extension("expected"));
    let expected = expected.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(shown(&parsed), expected, "{}", file.display());
    parsed
}

fn shown(parsed: &Parsed) -> String {
    let mut text = String::new();
    for diagnostic in &parsed.diagnostics {
        writeln!(text, "{diagnostic}").unwrap();
    }
    if let Some(config) = &parsed.config {
        writeln!(text, "{config:#?}").unwrap();
    }
    text
}

/// The configuration files of a directory, in which nothing but pairs may stand.
fn files(directory: &str) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        assert!(
            matches!(extension, Some("conf" | "expected")) && path.with_extension("conf").exists(),
            "{} is no test case",
            path.display()
        );
        files.insert(path.with_extension("conf"));
    }
    assert!(!files.is_empty(), "no test cases in {directory}");
    files
}

const PATH: &str = "test.conf";

fn overridden(text: &str, name: Option<&str>, local: bool) -> String {
    let name: Option<Host> = name.map(|name| name.parse().unwrap());
    let server_name = name.as_ref();
    shown(&conf::parse(
        Path::new(PATH),
        text,
        Overrides { server_name, local },
    ))
}

/// A server name stands above the file.
#[test]
fn a_server_name_beats_the_file() {
    let text = "ServerBindAddress 198.51.100.7\nInterfaceMTU 1300\n";
    let shown = overridden(text, Some("192.0.2.1"), false);
    assert!(
        shown.contains("primary: 192.0.2.1,\n    secondary: Next,"),
        "{shown}"
    );
    assert!(shown.contains("mtu: 1300,"), "{shown}");
}

/// A server name takes the secondary address of another server away.
#[test]
fn a_server_name_moves_both() {
    let text = "ServerBindAddress 198.51.100.7\nServerBindAddress2 198.51.100.9\n";
    let shown = overridden(text, Some("192.0.2.1"), false);
    let warning = "test.conf:2:1: warning: ServerBindAddress2 ignored: the command line names \
                   another server\n";
    assert!(shown.starts_with(warning), "{shown}");
    assert!(shown.contains("secondary: Next,"), "{shown}");
}

/// The public addresses are those of the other server, too.
#[test]
fn a_server_name_is_public() {
    let text = "PublicAddress 198.51.100.7\nPublicAddress2 198.51.100.9\n";
    let shown = overridden(text, Some("192.0.2.1"), false);
    for (number, directive) in [(1, "PublicAddress"), (2, "PublicAddress2")] {
        let warning = format!(
            "test.conf:{number}:1: warning: {directive} ignored: the command line names another server\n"
        );
        assert!(shown.contains(&warning), "{shown}");
    }
    let defaults = "secondary: Next,\n    public: Default,\n    public2: Default,";
    assert!(shown.contains(defaults), "{shown}");
}

#[test]
fn a_server_name_keeps_one_address() {
    let shown = overridden("ServerBindAddress2 None", Some("192.0.2.1"), false);
    assert!(shown.starts_with("Config"), "{shown}");
    assert!(shown.contains("secondary: None,"), "{shown}");
}

/// Faults of a server name are not those of the file.
#[test]
fn faults_of_a_server_name() {
    let shown = overridden("ServerBindAddress 198.51.100.7\n", Some("10.0.0.1"), false);
    assert!(
        shown.starts_with("command line: error: 10.0.0.1 is not a global address"),
        "{shown}"
    );
}

#[test]
fn a_local_run_needs_no_address() {
    let shown = overridden("", None, true);
    assert!(
        shown.contains("primary: 127.0.0.1,\n    secondary: Next,"),
        "{shown}"
    );
    assert!(shown.contains("allow_private: true,"), "{shown}");
}

#[test]
fn local_keeps_the_files_address() {
    let shown = overridden(
        "ServerBindAddress 10.0.0.1\nAllowPrivateAddresses no\n",
        None,
        true,
    );
    assert!(shown.contains("primary: 10.0.0.1,"), "{shown}");
    assert!(shown.contains("allow_private: true,"), "{shown}");
}

/// The addresses that come of a file, or all that is said of it.
fn addresses(text: &str) -> Result<(String, Option<String>), String> {
    let parsed = conf::parse(Path::new(PATH), text, Overrides::default());
    let mut said = parsed.diagnostics.clone();
    let found = parsed.hosts.resolve(&mut |fault| said.push(fault.clone()));
    let said: String = said.iter().map(|fault| format!("{fault}\n")).collect();
    let found = found.map_err(|_| said)?;
    let secondary = found.secondary.map(|address| address.to_string());
    Ok((found.primary.to_string(), secondary))
}

/// What clients know an address as, and which one of this host it is where that is another.
#[test]
fn clients_know_public_addresses() {
    let cases = [
        (
            "ServerBindAddress 10.0.0.4\nPublicAddress 203.0.113.10",
            "203.0.113.10 (bound to 10.0.0.4)",
            Some("203.0.113.11 (bound to 10.0.0.5)"),
        ),
        (
            "ServerBindAddress 10.0.0.4\nServerBindAddress2 10.0.0.9\n\
             PublicAddress 203.0.113.10\nPublicAddress2 198.51.100.7",
            "203.0.113.10 (bound to 10.0.0.4)",
            Some("198.51.100.7 (bound to 10.0.0.9)"),
        ),
        (
            "ServerBindAddress 203.0.113.10\nServerBindAddress2 10.0.0.5\nPublicAddress2 198.51.100.7",
            "203.0.113.10",
            Some("198.51.100.7 (bound to 10.0.0.5)"),
        ),
        (
            "ServerBindAddress 203.0.113.10\nPublicAddress 203.0.113.10",
            "203.0.113.10",
            Some("203.0.113.11"),
        ),
        (
            "ServerBindAddress 10.0.0.4\nServerBindAddress2 none\nPublicAddress 203.0.113.10",
            "203.0.113.10 (bound to 10.0.0.4)",
            None,
        ),
    ];
    for (text, primary, secondary) in cases {
        let secondary = secondary.map(str::to_owned);
        assert_eq!(
            addresses(text),
            Ok((primary.to_owned(), secondary)),
            "{text}"
        );
    }
}

/// A name is a fault like any other, found in the same run. RFC 6761 section 6.4: nothing is known under "invalid".
#[test]
fn names_are_looked_up() {
    let one = addresses("ServerBindAddress 192.0.2.1\nServerBindAddress2 none");
    assert_eq!(one, Ok(("192.0.2.1".to_owned(), None)));
    let two = addresses("ServerBindAddress 192.0.2.1\nServerBindAddress2 198.51.100.7");
    let secondary = Some("198.51.100.7".to_owned());
    assert_eq!(two, Ok(("192.0.2.1".to_owned(), secondary)));

    let said = addresses(
        "ServerBindAddress a.invalid\nInterfaceMTU 1\nServerBindAddress2 b.invalid\n\
         PublicAddress c.invalid\nPublicAddress2 d.invalid",
    )
    .unwrap_err();
    for expected in [
        format!("{PATH}:4:15: error: no address is known for c.invalid: "),
        format!("{PATH}:5:16: error: no address is known for d.invalid: "),
        format!("{PATH}:1:19: error: no address is known for a.invalid: "),
        format!("{PATH}:2:14: error: InterfaceMTU 1 is below 1280"),
        format!("{PATH}:3:20: error: no address is known for b.invalid: "),
        "ServerBindAddress a.invalid\n                      ^^^^^^^^^\n".to_owned(),
    ] {
        assert!(said.contains(&expected), "no {expected} in {said}");
    }
    // What is wrong as it stands is said once.
    // A public address that is not known yet is one all the same: a private one may be bound.
    let said = addresses("ServerBindAddress 10.0.0.1\nPublicAddress c.invalid").unwrap_err();
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    let said = addresses("ServerBindAddress 10.0.0.1\nServerBindAddress2 b.invalid").unwrap_err();
    assert_eq!(
        said.matches("10.0.0.1 is not a global").count(),
        1,
        "{said}"
    );
}

/// An unreadable file is a fault that names the call.
#[test]
fn an_unreadable_file_is_a_fault() {
    let load = |path: &str| shown(&conf::load(Path::new(path), Overrides::default()));
    assert_eq!(
        load("tests/conf/missing"),
        "tests/conf/missing: error: open: No such file or directory\n    \
         help: write one after miredo-server.conf.sample, or name the server's address on the \
         command line\n"
    );
    assert_eq!(
        load("tests/conf"),
        "tests/conf: error: read: Is a directory\n"
    );
    assert_eq!(
        load("/dev/zero"),
        "/dev/zero: error: larger than 1048576 bytes: not a configuration file\n"
    );
}

#[test]
fn no_text_is_no_configuration() {
    let path = std::env::temp_dir().join(format!("miredo-conf-{}", std::process::id()));
    let load = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let shown = shown(&conf::load(&path, Overrides::default()));
        fs::remove_file(&path).unwrap();
        let named = format!("{}: error: ", path.display());
        shown.strip_prefix(&named).unwrap().to_owned()
    };
    let text = "# café\nServerBindAddress 192.0.2.1\n";
    let nul = "a NUL octet in line 3: not a configuration file\n";
    assert_eq!(load(format!("{text}\0").as_bytes()), nul);
    assert_eq!(load(format!("{text}x\0\n\n").as_bytes()), nul);
    let utf_16 = "UTF-16: not a configuration file; save it as UTF-8\n";
    let units = || "\u{feff}ServerBindAddress 192.0.2.1\n".encode_utf16();
    assert_eq!(
        load(&units().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
        utf_16
    );
    assert_eq!(
        load(&units().flat_map(u16::to_be_bytes).collect::<Vec<_>>()),
        utf_16
    );
}

/// The C server takes it for a part of the first word. Where that begins a comment, as in most files, both read the same.
#[test]
fn a_byte_order_mark_is_ignored() {
    let read = |text: &str| shown(&conf::parse(Path::new(PATH), text, Overrides::default()));
    let warning = "test.conf:1:1: warning: a byte order mark, ignored\n    \\u{feff}";
    for text in [
        "ServerBindAddress 192.0.2.1\n",
        "#\nServerBindAddress 192.0.2.1\n",
    ] {
        let marked = read(&format!("\u{feff}{text}"));
        assert!(marked.starts_with(warning), "{marked}");
        assert!(marked.ends_with(&read(text)), "{marked}");
        assert!(!marked.contains("unknown"), "{marked}");
    }
    // Elsewhere it is a character like any other.
    assert!(read("#\n\u{feff}Workers 1\n").contains("unknown directive \\u{feff}Workers"));
}

#[test]
fn the_first_faults_are_shown() {
    let kinds = [
        ("x\n", ":7:1: warning: unknown directive x, ignored"),
        ("Workers\n", ":7:1: warning: Workers has no value, ignored"),
        (
            "Prefix 1\n",
            ":7:1: warning: Prefix again, ignored: line 1 sets it",
        ),
    ];
    for (line, seventh) in kinds {
        let times = 50_000;
        let text = format!("Prefix 1\n{}InterfaceMTU 64", line.repeat(times));
        let parsed = conf::parse(Path::new(PATH), &text, Overrides::default());
        let shown = parsed.diagnostics.iter();
        let shown: Vec<String> = shown.map(|fault| fault.headline().to_string()).collect();
        assert_eq!(shown.len(), 21, "{shown:#?}");
        assert!(shown[6].contains(seventh), "{shown:#?}");
        // No error is among those that are not shown.
        for error in [
            "test.conf:1:8: error: ",
            ":14: error: InterfaceMTU 64",
            "test.conf: error: no ",
        ] {
            assert!(
                shown.iter().any(|fault| fault.contains(error)),
                "{shown:#?}"
            );
        }
        // Three errors leave room for 17 warnings.
        let last = format!(
            "test.conf: warning: further warnings, not shown: {}",
            times - 17
        );
        assert_eq!(shown[20], last);
    }
}

#[test]
fn twenty_faults_are_all_shown() {
    let text = "ServerBindAddress 192.0.2.1\n".to_owned() + &"x\n".repeat(20);
    let count = |text: &str| {
        let parsed = conf::parse(Path::new(PATH), text, Overrides::default());
        let last = parsed.diagnostics.last().unwrap().to_string();
        (parsed.diagnostics.len(), last.contains("further"))
    };
    assert_eq!(count(&text), (20, false));
    assert_eq!(count(&(text + "x\n")), (21, true));
}

/// A file may be missing where none is needed.
#[test]
fn a_file_may_be_missing() {
    let load = |path: &str, name: Option<&Host>| {
        let overrides = Overrides {
            server_name: name,
            local: false,
        };
        conf::load_if_present(Path::new(path), overrides)
    };
    let name: Host = "192.0.2.1".parse().unwrap();
    assert!(load("tests/conf/missing", Some(&name)).config.is_some());
    assert!(load("tests/conf/missing", None).config.is_none());
    assert!(load("tests/conf", Some(&name)).config.is_none());
}

#[test]
fn a_headline_is_one_line() {
    let path = Path::new("odd\nname\u{1b}.conf");
    let text = "ServerBindAddress 192.0.2.1\nInterfaceMTV\u{7} 1400\n";
    let parsed = conf::parse(path, text, Overrides::default());
    let headlines: Vec<String> = parsed
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.headline().to_string())
        .collect();
    let expected = "odd\\nname\\u{1b}.conf:2:1: warning: unknown directive InterfaceMTV\\u{7}, \
                    ignored (did you mean InterfaceMTU?)";
    assert_eq!(headlines, [expected]);
}

mod any_text {
    use super::*;
    use miredo_server::conf::DIRECTIVES;
    use proptest::prelude::*;

    /// Text with many lines that look right.
    fn lines() -> impl Strategy<Value = String> {
        let name = proptest::sample::select(DIRECTIVES.map(|directive| directive.name()).to_vec());
        let value = prop_oneof![
            "[0-9a-fx:./+-]{0,12}",
            "\\PC{0,12}",
            Just("192.0.2.1".to_owned()),
            Just("2001:db8::/32".to_owned()),
            Just("yes".to_owned()),
        ];
        let line = (name, "[ \t=]{0,2}", value, "[ \t#]{0,2}\\PC{0,100}")
            .prop_map(|(name, space, value, rest)| format!("{name}{space}{value}{rest}"));
        proptest::collection::vec(prop_oneof![3 => line, 1 => "(?s).{0,90}".boxed()], 0..12)
            .prop_map(|lines| lines.join("\n"))
    }

    fn check(text: &str) {
        let parsed = conf::parse(Path::new(PATH), text, Overrides::default());
        let is_error = |fault: &conf::Diagnostic| fault.severity == Severity::Error;
        assert_ne!(
            parsed.config.is_some(),
            parsed.diagnostics.iter().any(is_error)
        );
        for diagnostic in &parsed.diagnostics {
            assert!(!diagnostic.headline().to_string().contains('\n'));
            let Some(at) = &diagnostic.at else { continue };
            let line = text.split('\n').nth(at.line - 1).unwrap();
            assert!(line.starts_with(&at.source));
            assert!(at.column >= 1 && at.width >= 1);
            assert!(at.column - 1 + at.width <= at.source.chars().count());
            drawn_inside(&at.to_string());
        }
    }

    /// Two lines; the lower one, spaces and carets, is no longer than the upper one.
    fn drawn_inside(drawing: &str) {
        let (source, carets) = drawing.split_once('\n').unwrap();
        assert!(
            carets.chars().count() <= source.chars().count(),
            "{drawing}"
        );
        assert!(carets.trim_start().chars().all(|c| c == '^') && carets.ends_with('^'));
        assert!(!source.contains(|c: char| c.is_control()), "{drawing:?}");
    }

    proptest! {
        #[test]
        fn is_read_without_panic(text in "(?s).{0,300}") {
            check(&text);
        }

        #[test]
        fn has_carets_inside_its_lines(text in lines()) {
            check(&text);
        }
    }
}

/// As the manual page says.
#[test]
fn statistics_beside_the_pid_file() {
    for (text, pid_file, expected) in [
        ("", Some("/run/a.pid"), Some("/run/a.sock")),
        ("", Some("/run/pid"), Some("/run/pid.sock")),
        ("", Some("/run/a.lock"), Some("/run/a.lock.sock")),
        ("", None, None),
        ("StatisticsSocket OFF\n", Some("/run/a.pid"), None),
        (
            "StatisticsSocket /run/b\n",
            Some("/run/a.pid"),
            Some("/run/b"),
        ),
        ("StatisticsSocket /run/b\n", None, Some("/run/b")),
    ] {
        let text = format!("ServerBindAddress 192.0.2.1\n{text}");
        let parsed = conf::parse(Path::new(PATH), &text, Overrides::default());
        let socket = parsed.config.unwrap().service.statistics;
        let path = socket.path(pid_file.map(Path::new));
        assert_eq!(path.as_deref(), expected.map(Path::new), "{text}");
    }
}

//! The mistakes that people make: a clear sentence each, the right exit code, nothing left behind.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use platform::accelerator::Accelerator as _;

use harness::system::{absent_address, wait};
use harness::{Scratch, Server, addresses, output, root, secondary_of};

/// Exit status of a fault that stays until somebody changes the configuration: sysexits(3).
const EX_CONFIG: i32 = 78;

/// Runs the program to its end and expects this exit code and these words on stderr.
fn refused(scratch: &Scratch, arguments: &[&str], code: i32, words: &[&str]) -> String {
    let mut command = Command::new(scratch.program());
    expect(
        command
            .args(arguments)
            .args(["-p".as_ref(), scratch.path("pid").as_os_str()]),
        code,
        words,
        scratch,
    )
}

fn expect(command: &mut Command, code: i32, words: &[&str], scratch: &Scratch) -> String {
    let ended = output(command);
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(code), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in {stderr}");
    }
    assert!(!scratch.path("pid").exists(), "a process-id file is left");
    stderr
}

fn config(scratch: &Scratch, text: &str) -> String {
    scratch
        .write("conf", text)
        .into_os_string()
        .into_string()
        .unwrap()
}

fn loopback(primary: Ipv4Addr) -> String {
    let secondary = secondary_of(primary);
    format!("ServerBindAddress {primary}\n{secondary}AllowPrivateAddresses yes\n")
}

#[test]
fn a_command_line_fault_exits_2() {
    let scratch = Scratch::new();
    for (arguments, words) in [
        (&["--bogus"][..], "--bogus"),
        (&["192.0.2.1", "192.0.2.2"], "192.0.2.2"),
        (&["-c"], "-c"),
        (&["--worker"], "--control"),
    ] {
        refused(&scratch, arguments, 2, &[words]);
    }
}

#[test]
fn help_and_version_exit_0() {
    for (option, words) in [
        ("-h", "--foreground"),
        ("--help", "--foreground"),
        ("-V", "BSD-2-Clause"),
        ("--version", env!("CARGO_PKG_VERSION")),
    ] {
        let ended = output(Command::new(harness::PROGRAM).arg(option));
        assert!(ended.status.success());
        assert!(
            String::from_utf8_lossy(&ended.stdout).contains(words),
            "{option}"
        );
    }
}

/// Every fault of a file is reported in one run.
#[test]
fn every_fault_in_one_run() {
    let scratch = Scratch::new();
    let file = config(
        &scratch,
        "ServerBindAddress 300.1.1.1\n\nInterfaceMTU 64\nBogus 1\n",
    );
    for check in [&["-n"][..], &[]] {
        refused(
            &scratch,
            &[&["-c", &file], check].concat(),
            EX_CONFIG,
            &["conf:1:19: error", "conf:3:14: error", "conf:4:1: warning"],
        );
    }
}

/// One line says which file was read and what comes of it. An address of the examples is no server's.
#[test]
fn a_good_file_is_checked() {
    let scratch = Scratch::new();
    for (text, served, warned) in [
        ("11.0.0.1", "11.0.0.1 and 11.0.0.2", false),
        (
            "10.0.0.4\nPublicAddress 11.0.0.1",
            "11.0.0.1 (bound to 10.0.0.4) and 11.0.0.2 (bound to 10.0.0.5)",
            false,
        ),
        (
            "10.0.0.4\nPublicAddress 192.0.2.1\nServerBindAddress2 none",
            "192.0.2.1 (bound to 10.0.0.4) in one-address mode",
            true,
        ),
        (
            "192.0.2.1\nServerBindAddress2 none",
            "192.0.2.1 in one-address mode",
            true,
        ),
    ] {
        let file = config(&scratch, &format!("ServerBindAddress {text}\n"));
        let mut command = Command::new(scratch.program());
        let checked = output(command.args(["-n", "-c", &file]));
        assert!(checked.status.success(), "{checked:?}");
        let said = String::from_utf8(checked.stdout).unwrap();
        let serves = format!("{file}: no errors; to serve {served}, UDP port 3544");
        assert!(
            said.starts_with(&serves) && said.lines().count() == 1,
            "{said}"
        );
        let said = String::from_utf8(checked.stderr).unwrap();
        let warning = "warning: 192.0.2.1 is an address for examples";
        assert_eq!(said.contains(warning), warned, "{said}");
        assert_eq!(said.lines().count(), usize::from(warned), "{said}");
    }
}

/// A program without the feature would serve it, by the sockets alone.
#[test]
fn a_lacking_feature_is_a_warning() {
    let scratch = Scratch::new();
    for (accelerate, local, asked_for) in [
        ("auto", false, true),
        ("eth0", false, true),
        ("off", false, false),
        ("auto", true, false),
    ] {
        let text = format!(
            "ServerBindAddress 11.0.0.1\nServerBindAddress2 none\nAccelerate {accelerate}\n"
        );
        let file = config(&scratch, &text);
        let mut command = Command::new(scratch.program());
        command.args(["-n", "-c", &file]);
        if local {
            command.arg("--local");
        }
        let checked = output(&mut command);
        assert!(checked.status.success(), "{checked:?}");
        let said = String::from_utf8(checked.stderr).unwrap();
        let warned = said.contains("warning: Accelerate: this program was built without");
        assert_eq!(warned, asked_for && !platform::Here::BUILT_IN, "{said}");
    }
}

#[test]
fn unknown_options_show_others() {
    let scratch = Scratch::new();
    let mut command = Command::new(scratch.program());
    let said = expect(
        command.arg("-x"),
        2,
        &["'-x'", "--foreground", "--check"],
        &scratch,
    );
    assert!(!said.contains("-- -x"), "{said}");
}

/// A file that is empty because it is no file.
#[test]
fn a_file_that_is_none() {
    let scratch = Scratch::new();
    let words = [
        "warning: a device, read as an empty file",
        "no ServerBindAddress",
    ];
    refused(&scratch, &["-n", "-c", "/dev/null"], EX_CONFIG, &words);
    let fifo = scratch.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let fifo = fifo.into_os_string().into_string().unwrap();
    let words = ["a FIFO that no process writes to", "no ServerBindAddress"];
    refused(&scratch, &["-n", "-c", &fifo], EX_CONFIG, &words);
    // A common way to say that there is no file.
    let said = refused(&scratch, &["-n", "-c", "/dev/null", "11.0.0.1"], 0, &[]);
    assert_eq!(said, "");
}

/// The resolver is this test's own: files in a mount namespace, and no network.
#[cfg(target_os = "linux")]
#[test]
fn names_are_faults_like_others() {
    const MOUNT: &str = "mount --bind \"$1\" /etc/hosts
        mount --bind \"$2\" /etc/nsswitch.conf
        shift 2
        exec \"$@\"";
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let hosts = "127.0.0.1 localhost\n11.0.0.1 one same\n11.0.0.1 many\n11.0.0.3 many\n\
                 2001:db8::1 six\n";
    let hosts = scratch.write("hosts", hosts);
    let nsswitch = scratch.write("nsswitch", "hosts: files\n");
    let run = |text: &str, code: i32, words: &[&str]| {
        let file = config(&scratch, text);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "sh", "-ec", MOUNT, "sh"]);
        command.arg(&hosts).arg(&nsswitch).arg(scratch.program());
        expect(command.args(["-n", "-c", &file]), code, words, &scratch)
    };
    // Not known now.
    let unknown = "conf:1:19: error: no address is known for nobody.example.org: ";
    run(
        "ServerBindAddress nobody.example.org\n",
        1,
        &[unknown, "^^^^"],
    );
    let six = "conf:1:19: error: six has IPv6 addresses only";
    run("ServerBindAddress six\n", 1, &[six]);
    // Wrong until somebody changes it, and found in one run with the other faults.
    let text = "ServerBindAddress localhost\nInterfaceMTU 1\nServerBindAddress2 six\n";
    let faults = [
        "conf:1:19: error: 127.0.0.1 is not a global address",
        "conf:2:14: error: InterfaceMTU 1",
        "conf:3:20: error: six has IPv6 addresses only",
    ];
    run(text, EX_CONFIG, &faults);
    let same = "conf:2:20: error: 11.0.0.1 is the primary address";
    run(
        "ServerBindAddress one\nServerBindAddress2 same\n",
        EX_CONFIG,
        &[same],
    );
    let text = "ServerBindAddress one\nPublicAddress localhost\n";
    let private = "conf:2:15: error: 127.0.0.1 is not a global address";
    run(text, EX_CONFIG, &[private]);
    let text = "ServerBindAddress 10.0.0.4\nPublicAddress one\nPublicAddress2 same\n";
    let same = "conf:3:16: error: 11.0.0.1 is the primary address";
    run(text, EX_CONFIG, &[same]);
    let many = "conf:1:19: warning: many has the addresses 11.0.0.1, 11.0.0.3";
    run("ServerBindAddress many\n", 0, &[many, "takes 11.0.0.1"]);
    let said = run("ServerBindAddress one\n", 0, &[]);
    assert_eq!(said, "");
}

/// A missing or unreadable file is named.
#[test]
fn a_missing_file_is_named() {
    let scratch = Scratch::new();
    let missing = scratch
        .path("missing")
        .into_os_string()
        .into_string()
        .unwrap();
    refused(
        &scratch,
        &["-c", &missing],
        EX_CONFIG,
        &["open", &missing, "o such file"],
    );
    let directory = scratch.path("").into_os_string().into_string().unwrap();
    refused(
        &scratch,
        &["-c", &directory],
        EX_CONFIG,
        &[&directory, "directory"],
    );
    if !root() {
        return;
    }
    let secret = config(&scratch, "ServerBindAddress 192.0.2.1\n");
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o000)).unwrap();
    let mut command = Command::new(scratch.program());
    expect(
        command.args(["-n", "-c", &secret]).uid(65534),
        EX_CONFIG,
        &[&secret, "not permitted"],
        &scratch,
    );
}

#[test]
fn no_address_at_all() {
    let scratch = Scratch::new();
    let file = config(&scratch, "# nothing\n");
    refused(
        &scratch,
        &["-c", &file],
        EX_CONFIG,
        &["ServerBindAddress", &file],
    );
}

#[test]
fn without_root_the_remedy_is_told() {
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let file = config(&scratch, &loopback(primary));
    let mut command = Command::new(scratch.program());
    command
        .args(["-f", "-c", &file])
        .arg("-p")
        .arg(scratch.path("pid"));
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    expect(&mut command, 1, &["start as root", "--local"], &scratch);
}

/// As in a container, whose root is told to start as root no more than a jail's.
#[test]
#[cfg(target_os = "linux")]
fn root_lacks_a_capability() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let file = config(&scratch, &loopback(primary));
    let mut command = Command::new("setpriv");
    command
        .arg("--bounding-set=-net_raw")
        .arg(scratch.program())
        .args(["-f", "-c", &file])
        .arg("-p")
        .arg(scratch.path("pid"));
    let words = ["root lacks the capability CAP_NET_RAW", "--local"];
    let told = expect(&mut command, 1, &words, &scratch);
    assert!(!told.contains("start as root"), "{told}");
}

/// A process id file that cannot be written.
#[test]
fn a_pid_file_in_no_directory() {
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let mut command = Command::new(scratch.program());
    command.args([
        "--local",
        "-p",
        "/no/such/directory/pid",
        &primary.to_string(),
    ]);
    let words = ["open /no/such/directory/pid: No such file", "--pidfile"];
    expect(&mut command, 1, &words, &scratch);
}

#[test]
fn a_pid_file_is_no_configuration() {
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let text = loopback(primary);
    let file = config(&scratch, &text);
    let mut command = Command::new(scratch.program());
    command.args(["--local", "-c", &file, "-p", &file]);
    let words = [&file, "it is the configuration", "--pidfile"];
    expect(&mut command, 1, &words, &scratch);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

/// An address that this host does not have.
#[test]
fn an_address_of_another_host() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let absent = absent_address();
    let file = config(&scratch, &format!("ServerBindAddress {absent}\n"));
    let words = format!("bind {absent}:3544: address not assigned to this host");
    for extra in [&["-f"][..], &[]] {
        let remedy = "add it to this host, or correct ServerBindAddress";
        // Who rents a host in a cloud writes the address that he was told.
        let in_a_cloud = "behind a 1:1 NAT, name the address of this host there, and this one with PublicAddress";
        refused(
            &scratch,
            &[&["-c", &file], extra].concat(),
            1,
            &[&words, remedy, in_a_cloud],
        );
    }
}

/// An address that stands in no file is explained.
#[test]
fn a_secondary_that_is_absent() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let absent = absent_address();
    let file = format!("{}ServerBindAddress2 {absent}\n", loopback(primary));
    let file = config(&scratch, &file);
    let words =
        format!("bind {absent}:3544: address not assigned to this host; it is the secondary");
    refused(
        &scratch,
        &["-c", &file],
        1,
        &[&words, "ServerBindAddress2, or none"],
    );
}

#[test]
fn a_port_that_is_taken() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let _taken = UdpSocket::bind((primary, 3544)).unwrap();
    let file = config(&scratch, &loopback(primary));
    let words = format!("bind {primary}:3544: ");
    let words = [&words, "in use", platform::LIST_SOCKETS, "C server"];
    refused(&scratch, &["-c", &file], 1, &words);
}

/// A user that does not exist or is root.
#[test]
fn a_user_that_cannot_be() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let file = config(&scratch, &loopback(primary));
    refused(
        &scratch,
        &["-c", &file, "-u", "no-such-user"],
        EX_CONFIG,
        &["no-such-user", "no such user"],
    );
    refused(
        &scratch,
        &["-c", &file, "-u", "root"],
        EX_CONFIG,
        &["does not serve as root"],
    );
    refused(
        &scratch,
        &["-c", &file, "-u", "0"],
        EX_CONFIG,
        &["does not serve as root"],
    );
}

/// An empty directory that is not empty.
#[test]
fn an_unfit_empty_directory() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let file = config(&scratch, &loopback(primary));
    let jail = scratch.path("").into_os_string().into_string().unwrap();
    refused(&scratch, &["-c", &file, "-t", &jail], 1, &[&jail]);
    refused(
        &scratch,
        &["-c", &file, "-t", "/no/such/directory"],
        1,
        &[
            "/no/such/directory",
            "; name an empty directory that belongs to root",
        ],
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_limit_of_open_files() {
    if !root()
        || !harness::may_run(
            std::path::Path::new("/usr/bin/prlimit").exists(),
            "needs prlimit(1)",
        )
    {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let file = config(&scratch, &loopback(primary));
    for limit in [6, 8, 10, 12, 14] {
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--nofile={limit}"))
            .arg(scratch.program())
            .args(["-c", &file, "-p"])
            .arg(scratch.path("pid"));
        let said = expect(&mut command, 1, &[": too many open files"], &scratch);
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// The crates beneath the worker panic where they cannot start their threads; a start returns 0 only where it serves.
#[test]
#[cfg(target_os = "linux")]
fn too_few_threads_fail_the_start() {
    if !root()
        || !harness::may_run(
            std::path::Path::new("/usr/bin/prlimit").exists(),
            "needs prlimit(1)",
        )
    {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let file = config(&scratch, &loopback(primary));
    for most in 0..8 {
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--nproc={most}"))
            .arg(scratch.program())
            .args(["-u", "daemon", "-c", &file, "-p"])
            .arg(scratch.path("pid"));
        if most > 0 && command.status().unwrap().success() {
            harness::Client::new(primary).ask(primary, 1);
            let pid = std::fs::read_to_string(scratch.path("pid")).unwrap();
            let pid = nix::unistd::Pid::from_raw(pid.trim().parse().unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
            harness::system::until("the server ends", || !scratch.path("pid").exists());
        } else {
            let words = ["start thread: too many processes of this user"];
            expect(&mut command, 1, &words, &scratch);
        }
    }
}

#[test]
fn nobody_reads_the_faults() {
    let scratch = Scratch::new();
    let file = config(&scratch, "InterfaceMTU 64\n");
    let (_, writer) = std::io::pipe().unwrap();
    let mut command = Command::new(scratch.program());
    let mut child = command
        .args(["-n", "-c", &file])
        .stderr(writer)
        .spawn()
        .unwrap();
    assert_eq!(wait(&mut child).code(), Some(EX_CONFIG));
}

/// Two servers on one process id file.
#[test]
fn two_servers_on_one_pid_file() {
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let file = config(&scratch, &loopback(primary));
    let pid = scratch.path("pid");
    let mut command = Command::new(scratch.program());
    let server = Server::start(command.args(["-f", "-c", &file, "-p"]).arg(&pid));
    let (other, _) = addresses();
    let second = output(
        Command::new(scratch.program())
            .args(["-c", &file, "-p"])
            .arg(&pid)
            .arg(other.to_string()),
    );
    let words = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{words}");
    assert!(
        words.contains(&format!("process {}", server.pid())),
        "{words}"
    );
    assert!(pid.exists(), "the first server's file stays");
    server.stop();
}

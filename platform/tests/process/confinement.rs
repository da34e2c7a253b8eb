//! Giving up root, seen through /proc.

use std::env;
use std::fs;
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

use miredo_platform::{
    Attached, EchoPath, Endpoint, Identity, NeighbourShare, Raw, RootDirectory, Udp, confine,
    confine_unprivileged, default_root, detach, syslog,
};
use nix::unistd::{Gid, Uid};

use crate::common::skip;
use crate::watching::{Scratch, Waiting, wait_confined};
use crate::{CHILD, assert_success, child, output};

const NOBODY: u32 = 65534;

fn nobody() -> Identity {
    Identity {
        uid: Uid::from_raw(NOBODY),
        gid: Gid::from_raw(NOBODY),
    }
}

/// The names that a private directory bears while it exists.
fn leftovers() -> Vec<PathBuf> {
    ["/var/run", "/tmp"]
        .into_iter()
        .flat_map(|parent| fs::read_dir(parent).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("/miredo-server."))
        .filter(|path| path.is_dir())
        .collect()
}

fn assert_confined(child: &Waiting) {
    child.assert_powerless("65534");
    assert_eq!(child.status("Gid"), "65534 65534 65534 65534");
    assert_eq!(child.status("Groups"), "");
    assert_eq!(child.status("CapBnd"), "0000000000000000");
    assert_eq!(fs::read_dir(child.proc("root/")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(child.proc("cwd/")).unwrap().count(), 0);
}

pub(crate) fn private_root() {
    let before = leftovers();
    let child = Waiting::new(child("confined_in_a_private_directory"));
    assert_confined(&child);
    let directory = fs::read_link(child.proc("root")).unwrap();
    assert!(
        directory.to_string_lossy().ends_with(" (deleted)"),
        "{directory:?}"
    );
    assert_eq!(leftovers(), before);
    child.finish();
}

/// Opens first what the server opens first: it must start no thread.
pub(crate) fn confine_to_private() {
    let count = NonZeroUsize::new(4).unwrap();
    let mut pairs = Endpoint::open_pairs(Ipv4Addr::LOCALHOST, None, 0, count).unwrap();
    let _raw = Raw::open(EchoPath::Native).unwrap();
    nix::unistd::setgroups(&[Gid::from_raw(4), Gid::from_raw(24)]).unwrap();
    let confined = confine(&nobody(), &RootDirectory::Private).unwrap();
    assert!(fs::create_dir("/new").is_err());
    match confined.missing() {
        // Landlock: not even what everybody may.
        [] => assert!(fs::read_dir("/").is_err()),
        missing => skip(&format!("Landlock, because {missing:?}")),
    }
    assert!(nix::unistd::seteuid(Uid::from_raw(0)).is_err());
    wait_confined();
    // The reactor works from in here.
    Udp::new(pairs.remove(0), Attached::default(), NeighbourShare::WHOLE).unwrap();
}

/// Root without the capability that chroot(2) wants.
pub(crate) fn no_chroot() {
    let before = leftovers();
    let output = Command::new("setpriv")
        .arg("--bounding-set=-sys_chroot")
        .arg(env::current_exe().unwrap())
        .env(CHILD, "a_failure_leaves_no_directory")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    for word in [
        "\"chroot\"",
        "/miredo-server.",
        "lacks the capability CAP_SYS_CHROOT",
    ] {
        assert!(told.contains(word), "{told}");
    }
    assert!(!output.status.success());
    assert_eq!(leftovers(), before);
}

pub(crate) fn given_root() {
    let directory = Scratch::new();
    let mut command = child("confined_in_a_given_directory");
    command.arg(&directory.0);
    let child = Waiting::new(command);
    assert_confined(&child);
    assert_eq!(fs::read_link(child.proc("root")).unwrap(), directory.0);
    child.finish();
}

pub(crate) fn confine_to_given() {
    let directory = env::args_os().nth(1).unwrap();
    match confine(&nobody(), &RootDirectory::Directory(directory.into())) {
        Ok(_) => wait_confined(),
        Err(error) => {
            eprint!("{error}");
            exit(1);
        }
    }
}

pub(crate) fn unfit_roots() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.0.join(name);
    for name in ["full", "open", "others"] {
        fs::create_dir(path(name)).unwrap();
    }
    fs::write(path("full/file"), "").unwrap();
    fs::set_permissions(path("open"), fs::Permissions::from_mode(0o775)).unwrap();
    nix::unistd::chown(&path("others"), Some(Uid::from_raw(NOBODY)), None).unwrap();
    fs::write(path("file"), "").unwrap();
    symlink(path("full"), path("link")).unwrap();
    let advice = "; name an empty directory that belongs to root";
    let cases = [
        (
            "full",
            "chroot",
            format!("the directory is not empty{advice}"),
        ),
        (
            "link",
            "chroot",
            format!("the directory is not empty{advice}"),
        ),
        (
            "open",
            "chroot",
            format!("the directory is writable by others than root{advice}"),
        ),
        (
            "others",
            "chroot",
            format!("the directory does not belong to root{advice}"),
        ),
        ("file", "open", format!("Not a directory{advice}")),
        ("none", "open", format!("No such file or directory{advice}")),
    ];
    for (name, call, why) in cases {
        let output = output("unfit_roots_are_refused", path(name));
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(told, format!("{call} {}: {why}", path(name).display()));
        assert_eq!(output.status.code(), Some(1));
    }
    match (default_root(), fs::read_dir("/var/empty")) {
        (RootDirectory::Private, Ok(entries)) => {
            assert_ne!(entries.count(), 0, "/var/empty is fit, if it is root's")
        }
        (RootDirectory::Private, Err(_)) => {}
        (RootDirectory::Directory(path), _) => assert_eq!(path, Path::new("/var/empty")),
    }
}

/// Tokyo is nine hours ahead, summer and winter; without its file, or after the zone was looked for in the empty directory, it is
/// none.
pub(crate) fn local_time() {
    if !Path::new("/usr/share/zoneinfo/Asia/Tokyo").exists() {
        return skip("no time zones: wants tzdata");
    }
    let mut command = child("a_confined_process_logs_in_local_time");
    assert_success(&command.env("TZ", ":Asia/Tokyo").output().unwrap());
}

pub(crate) fn confine_and_tell_time() {
    syslog::open(libc::LOG_DAEMON);
    confine(&nobody(), &RootDirectory::Private).unwrap();
    let mut local = MaybeUninit::uninit();
    // SAFETY: there is room for what it writes.
    unsafe { libc::localtime_r(&0, local.as_mut_ptr()) };
    // SAFETY: it was written.
    let local: libc::tm = unsafe { local.assume_init() };
    assert_eq!(local.tm_gmtoff, 9 * 3600);
}

/// Root without the capability that empties the bounding set goes on, and says so.
pub(crate) fn no_setpcap() {
    let output = Command::new("setpriv")
        .arg("--bounding-set=-setpcap")
        .arg(env::current_exe().unwrap())
        .env(CHILD, "without_setpcap_it_is_said")
        .output()
        .unwrap();
    assert_success(&output);
    let told = String::from_utf8(output.stdout).unwrap();
    let expected = "prctl PR_CAPBSET_DROP: not permitted; give the service CAP_SETPCAP\n";
    assert_eq!(told, expected);
}

pub(crate) fn confine_and_tell_missing() {
    let confined = confine(&nobody(), &RootDirectory::Private).unwrap();
    for missing in confined.missing() {
        println!("{missing}");
    }
}

pub(crate) fn threads_refused() {
    let output = output("confinement_wants_one_thread", "");
    assert_success(&output);
}

pub(crate) fn confine_with_threads() {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || stopped.recv());
    let refused = [
        confine(&nobody(), &RootDirectory::Private)
            .map(drop)
            .unwrap_err(),
        confine_unprivileged().map(drop).unwrap_err(),
        detach().map(drop).unwrap_err(),
    ];
    for error in refused {
        assert!(
            error
                .to_string()
                .ends_with("the process already has threads"),
            "{error}"
        );
    }
    drop(stop);
    thread.join().unwrap().unwrap_err();
}

/// As systemd starts a service with DynamicUser and AmbientCapabilities: an ordinary user with one capability.
pub(crate) fn ordinary_user() {
    // Where nobody can reach it, unlike the directory in which the program was built.
    let scratch = Scratch::new();
    fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o755)).unwrap();
    let program = scratch.0.join("process");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["--inh-caps=+net_raw", "--ambient-caps=+net_raw"])
        .arg(program)
        .env(CHILD, "an_ordinary_user_loses_capabilities");
    let child = Waiting::new(command);
    child.assert_powerless("65534");
    child.finish();
}

pub(crate) fn confine_ordinary() {
    if !Uid::current().is_root() {
        Raw::open(EchoPath::Native).unwrap();
    }
    if let Err(error) = confine_unprivileged() {
        eprint!("{error}");
        exit(1);
    }
    Raw::open(EchoPath::Native).unwrap_err();
    wait_confined();
}

pub(crate) fn ordinary_root() {
    let output = output("root_does_not_pass_for_an_ordinary_user", "");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        told,
        "confine to uid 0 gid 0: root must change to an ordinary user"
    );
    assert_eq!(output.status.code(), Some(1));
}

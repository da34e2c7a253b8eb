//! Leaves nothing behind.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Kills whatever still runs inside, then deletes the namespace. Called while panicking: reports,
/// never panics.
pub(crate) fn remove(name: &str) {
    let pids = Command::new("ip").args(["netns", "pids", name]).output();
    let pids = pids.map(|output| output.stdout).unwrap_or_default();
    for pid in String::from_utf8_lossy(&pids).lines().flat_map(str::parse) {
        // One that ended by itself meanwhile is as good as killed.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let deleted = Command::new("ip").args(["netns", "delete", name]).status();
    if !deleted.as_ref().is_ok_and(|status| status.success()) {
        eprintln!("ip netns delete {name}: {deleted:?}");
    }
}

/// Removes the namespaces and directories of test runs that were killed before they could do so.
pub(crate) fn remove_leftovers() {
    for name in leftovers(Path::new("/run/netns")) {
        remove(&name);
    }
    let temporary = std::env::temp_dir();
    for name in leftovers(&temporary) {
        // Another test run may be removing it too.
        let _gone = fs::remove_dir_all(temporary.join(name));
    }
}

/// The entries of `dir` named by [`super::unique`] in a process that is no more.
fn leftovers(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| {
            let owner = name
                .strip_prefix("mdo-")
                .and_then(|rest| rest.split('-').next());
            owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
        })
        .collect()
}

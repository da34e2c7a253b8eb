//! A laboratory of network namespaces for integration tests: `mod lab;`.
//!
//! - [`require`] decides whether a test can run here at all.
//! - [`Namespace`] is one host: addresses, commands, sockets. [`link`] joins two hosts with a cable.
//! - [`Process`] is a daemon in a namespace, its output captured.
//! - [`Subject`] is the server binary under test; [`Server`] is one running instance of it.
//! - [`Client`] and [`Relay`] are Debian's `miredo`.
//! - [`wait_until`] is the only way to wait for what gives no event.
//!
//! Everything made here is removed on drop, also while a test panics. What a killed test run left
//! behind is removed by the next one. Declare namespaces before the processes inside them, so that
//! the processes go first.
#![cfg(test)] // Clippy lets test code panic where it says so.
#![cfg(target_os = "linux")]
#![allow(
    dead_code,
    unused_imports,
    reason = "each test crate uses its own part"
)]

mod cleanup;
mod miredo;
mod namespace;
mod process;
mod server;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use miredo::{Client, Relay};
pub(crate) use namespace::{Namespace, link};
pub(crate) use process::Process;
pub(crate) use server::{Server, Subject};

/// Longest wait for any condition: far more than a busy machine needs, so reaching it is a fault.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// True when this process is root and every one of `tools` is in the search path
/// (or, with an absolute path, anywhere).
///
/// Otherwise says `SKIPPED: why` on standard error and returns false; under continuous integration
/// (environment variable `CI` set) a test must not be skipped, so it panics.
///
/// ```ignore
/// if !lab::require(&["ip", "nft"]) { return; }
/// ```
pub(crate) fn require(tools: &[&str]) -> bool {
    let Some(missing) = missing(tools) else {
        return true;
    };
    assert!(
        std::env::var_os("CI").is_none(),
        "{missing}, and a test must not be skipped under CI"
    );
    // Not eprintln, which libtest keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {missing}");
    false
}

fn missing(tools: &[&str]) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("network namespaces need root".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    tools
        .iter()
        .find(|tool| !std::env::split_paths(&path).any(|dir| dir.join(tool).exists()))
        .map(|tool| format!("{tool} is missing"))
}

/// Polls `condition` until it holds; panics with `what` when it does not within `deadline`.
#[track_caller]
pub(crate) fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < deadline,
            "waited {deadline:?} in vain: {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// A name no other test of this machine uses at the same time: `mdo-<pid>-<n>-<role>`.
fn unique(role: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("mdo-{}-{n}-{role}", std::process::id())
}

/// A directory that only its owner can enter, removed with its contents on drop.
pub(crate) struct PrivateDir(PathBuf);

impl PrivateDir {
    pub(crate) fn new() -> Self {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(unique("dir"));
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes `text` to the file `name` in the directory and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("remove {}: {error}", self.0.display());
        }
    }
}

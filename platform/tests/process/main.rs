//! What changes a whole process, each case in a process of its own: this program again, with the case's name in its
//! environment. Runs the cases whose names contain the first argument, or all.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests report by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
#[cfg(target_os = "linux")]
mod confinement;
mod descriptors;
mod detaching;
#[cfg(target_os = "linux")]
mod locking;
mod serving;
#[cfg(target_os = "linux")]
mod watching;

use std::env;
use std::path::Path;
use std::process::{Command, Output};

use common::skip;
#[cfg(target_os = "linux")]
use confinement::*;
use descriptors::*;
use detaching::*;
#[cfg(target_os = "linux")]
use locking::*;
use nix::unistd::{Uid, alarm};
use serving::*;

/// A name, who can run it, what the test does, and what its child does.
type Case = (&'static str, Who, fn(), fn());

const CASES: &[Case] = &[
    (
        "a_confined_process_serves",
        Root,
        serving,
        confine_and_serve,
    ),
    ("root_is_no_identity", Root, root_refused, confine_as_root),
    ("detached_and_ready", Anyone, detached, detach_and_serve),
    (
        "detached_and_failed",
        Anyone,
        detached_failing,
        detach_and_fail,
    ),
    (
        "detached_and_killed",
        Anyone,
        detached_killed,
        detach_and_die,
    ),
    ("inherited_once", Anyone, inherited, take_inherited),
    ("all_inherited_are_found", Anyone, all_inherited, take_all),
    ("keeping_excludes_claiming", Anyone, keeper, keep_and_claim),
];

/// What tools and /proc of Linux show.
#[cfg(target_os = "linux")]
const MORE: &[Case] = &[
    (
        "confined_in_a_private_directory",
        Root,
        private_root,
        confine_to_private,
    ),
    (
        "confined_in_a_given_directory",
        Root,
        given_root,
        confine_to_given,
    ),
    (
        "a_failure_leaves_no_directory",
        Root,
        no_chroot,
        confine_to_private,
    ),
    (
        "unfit_roots_are_refused",
        Root,
        unfit_roots,
        confine_to_given,
    ),
    (
        "a_confined_process_logs_in_local_time",
        Root,
        local_time,
        confine_and_tell_time,
    ),
    (
        "confinement_wants_one_thread",
        Anyone,
        threads_refused,
        confine_with_threads,
    ),
    (
        "an_ordinary_user_loses_capabilities",
        Root,
        ordinary_user,
        confine_ordinary,
    ),
    (
        "root_does_not_pass_for_an_ordinary_user",
        Root,
        ordinary_root,
        confine_ordinary,
    ),
    (
        "without_setpcap_it_is_said",
        Root,
        no_setpcap,
        confine_and_tell_missing,
    ),
    ("a_monitor_keeps_little", Root, monitor, restrict),
    (
        "a_forbidden_call_ends_it",
        Root,
        forbidden_calls,
        make_forbidden_call,
    ),
    ("a_locked_process_serves", Root, needed_calls, serve_locked),
    ("a_locked_process_can_abort", Root, aborted, abort_locked),
    ("a_worker_dies_with_its_monitor", Root, orphaned, orphan),
];
#[cfg(not(target_os = "linux"))]
const MORE: &[Case] = &[];

#[derive(PartialEq)]
enum Who {
    Root,
    Anyone,
}
use Who::{Anyone, Root};

const CHILD: &str = "MIREDO_TEST_CHILD";

/// Seconds after which a case has failed, whatever it waits for.
const PATIENCE: u32 = 120;

fn main() {
    alarm::set(PATIENCE);
    if let Some(case) = env::var_os(CHILD) {
        let (.., child) = cases().find(|(name, ..)| case == **name).unwrap();
        return child();
    }
    let filter = env::args().nth(1).filter(|word| !word.starts_with('-'));
    for (name, who, test, _) in cases() {
        if filter.as_ref().is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        if *who == Root && !Uid::effective().is_root() {
            skip(&format!("{name} wants root"));
            continue;
        }
        println!("process test {name} ...");
        alarm::set(PATIENCE);
        test();
        println!("process test {name} ... ok");
    }
}

fn cases() -> impl Iterator<Item = &'static Case> {
    CASES.iter().chain(MORE)
}

fn child(case: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env(CHILD, case);
    command
}

fn output(case: &str, argument: impl AsRef<Path>) -> Output {
    child(case).arg(argument.as_ref()).output().unwrap()
}

fn assert_success(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

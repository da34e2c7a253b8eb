//! What the service manager is told (sd_notify(3)). Without one, `NOTIFY_SOCKET` is not set, and nothing happens.

use std::net::Ipv4Addr;

use log::warn;
use sd_notify::NotifyState;

use super::plan::Plan;
use crate::verdict::Counters;

/// Whether there is a service manager.
pub fn has_manager() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The server serves this plan, and has done that.
pub fn serving(plan: &Plan, counters: &Counters) {
    notify(&[
        NotifyState::Ready,
        NotifyState::Status(&status(plan, counters)),
    ]);
}

/// The server waits until this host has an address. Nobody who waits for the start has to wait for that.
pub fn waiting(address: Ipv4Addr) {
    notify(&[
        NotifyState::Ready,
        NotifyState::Status(&format!("waiting for {address}")),
    ]);
}

/// The server goes on, and has done that.
pub fn counted(plan: &Plan, counters: &Counters) {
    notify(&[NotifyState::Status(&status(plan, counters))]);
}

/// The server stops.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn status(plan: &Plan, counters: &Counters) -> String {
    format!("serving {plan}; {counters}")
}

fn notify(states: &[NotifyState<'_>]) {
    // The server serves all the same. The manager may end it, and this line is why.
    if let Err(error) = sd_notify::notify(states) {
        warn!("cannot tell the service manager: {error}");
    }
}

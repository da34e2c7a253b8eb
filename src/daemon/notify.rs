//! What the service manager is told (sd_notify(3)). Without one, `NOTIFY_SOCKET` is not set, and nothing happens.

use std::net::Ipv4Addr;

use log::warn;
use sd_notify::NotifyState;

use super::plan::Plan;

/// The server serves this plan.
pub fn serving(plan: &Plan) {
    notify(&[
        NotifyState::Ready,
        NotifyState::Status(&format!("serving {plan}")),
    ]);
}

/// The server waits until this host has an address. Nobody who waits for the start has to wait for that.
pub fn waiting(address: Ipv4Addr) {
    notify(&[
        NotifyState::Ready,
        NotifyState::Status(&format!("waiting for {address}")),
    ]);
}

/// The server stops.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(states: &[NotifyState<'_>]) {
    // The server serves all the same. The manager may end it, and this line is why.
    if let Err(error) = sd_notify::notify(states) {
        warn!("cannot tell the service manager: {error}");
    }
}

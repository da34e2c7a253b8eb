//! What the service manager is told (sd_notify(3)). Without one, `NOTIFY_SOCKET` is not set, and nothing happens.

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

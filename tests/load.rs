//! Two workers and many clients at once, with every answer counted. Needs root.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod harness;

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use harness::{Client, Scratch, Server, addresses, root, secondary_of};
use nix::sys::signal::Signal;

/// Sockets that threads share, queues that are nearly full, workers that come and go: none of it costs an answer.
#[test]
fn two_workers_answer_everything() {
    const CLIENTS: u64 = 8;
    const ROUNDS: u64 = 200;
    // What is on its way at once fits into sockets that hold 82 datagrams, or 256, as those of NetBSD do.
    const BURST: u64 = 16;
    if !root() {
        return;
    }
    let scratch = Scratch::new();
    let (primary, _) = addresses();
    let secondary = secondary_of(primary);
    let text =
        format!("ServerBindAddress {primary}\n{secondary}AllowPrivateAddresses yes\nWorkers 2\n");
    let config = scratch.write("conf", &text);
    let mut command = Command::new(scratch.program());
    command.arg("-f").arg("-c").arg(config);
    let mut server = Server::start(command.arg("-p").arg(scratch.path("pid")));
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let ask = || {
            let client = Client::new(primary);
            for round in 0..ROUNDS {
                let nonces = round * BURST..(round + 1) * BURST;
                for nonce in nonces.clone() {
                    client.solicit(primary, nonce, false);
                }
                let mut heard: Vec<_> = nonces
                    .clone()
                    .map(|_| client.advertisement().nonce)
                    .collect();
                heard.sort_unstable();
                assert!(heard.into_iter().eq(nonces), "each answered once");
                answered.fetch_add(BURST, Ordering::Relaxed);
            }
        };
        let clients = [(); CLIENTS as usize].map(|()| scope.spawn(ask));
        // At least one, and as many as fit into the load.
        while !clients.iter().all(|client| client.is_finished()) {
            server.signal(Signal::SIGHUP);
            server.expect("reloaded");
        }
    });
    assert_eq!(answered.into_inner(), CLIENTS * ROUNDS * BURST);
    let last = server.stop().pop().unwrap();
    assert!(last.contains("stopped; 25600 datagrams answered"), "{last}");
}

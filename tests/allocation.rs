//! Nothing is allocated while a datagram is handled.
#![forbid(unsafe_code)]

#[expect(dead_code, reason = "the outcomes are for tests/rules.rs")]
mod vectors;

use std::hint::black_box;
use std::time::Instant;

use allocation_counter::measure;
use miredo_server::server::{Arrival, Server};
use platform::REPLY_MAX;

/// No vector makes the server allocate.
#[test]
fn vectors_allocate_nothing() {
    assert_eq!(
        measure(|| drop(black_box(Box::new(1)))).count_total,
        1,
        "the counter does not count"
    );
    for vector in vectors::all().unwrap() {
        let mut server = Server::new(vector.settings.clone());
        let mut out = [0; REPLY_MAX];
        let arrival = Arrival {
            bytes: &vector.bytes,
            truncated: vector.truncated,
            from: vector.from,
            via: vector.via,
            at: Instant::now(),
        };
        let allocated = measure(|| {
            for _ in 0..vector.times {
                let _ = black_box(server.handle(black_box(&arrival), &mut out));
            }
        });
        assert_eq!(allocated.count_total, 0, "{}", vector.name);
    }
}

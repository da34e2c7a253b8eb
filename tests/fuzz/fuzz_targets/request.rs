//! One request to the exporter of metrics.
#![no_main]

#[path = "../bodies.rs"]
#[expect(dead_code, reason = "each target uses its own part")]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::request(data));

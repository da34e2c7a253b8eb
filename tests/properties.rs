//! What holds of every verdict, over generated and mutated datagrams: tests/fuzz/invariants.rs says what.
#![forbid(unsafe_code)]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test that overflows or panics has failed"
)]

#[path = "fuzz/bodies.rs"]
#[expect(dead_code, reason = "configuration files are for tests/conf.rs")]
mod bodies;
mod generate;

use std::time::Instant;

use generate::{Input, damaged, sensible};
use miredo_server::server::{Arrival, Server, Settings};
use miredo_server::verdict::{Kind, Reason, Verdict};
use platform::{REPLY_MAX, Via};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

impl Input {
    fn settings(&self) -> Settings {
        bodies::settings(self.bits)
    }

    fn verdict(&self) -> Verdict {
        let settings = self.settings();
        let bytes = bodies::with_value(self.bits, &self.bytes);
        let mut out = [0xaa; REPLY_MAX];
        let arrival = Arrival {
            bytes: &bytes,
            truncated: self.bits & bodies::TRUNCATED != 0,
            from: self.from,
            via: if self.bits & bodies::SECONDARY == 0 {
                Via::Primary
            } else {
                Via::Secondary
            },
            at: Instant::now(),
        };
        let verdict = Server::new(settings.clone()).handle(&arrival, &mut out);
        bodies::invariants::check(&settings, &arrival, &verdict, &out);
        verdict
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn promises_hold_when_sensible(input in sensible()) {
        let _ = input.verdict();
    }

    #[test]
    fn promises_hold_when_damaged(input in damaged()) {
        let _ = input.verdict();
    }

    #[test]
    fn promises_hold_for_anything(data in vec(any::<u8>(), 0..300)) {
        bodies::handle(&data);
    }

    #[test]
    fn views_give_back_what_they_read(input in damaged(), anything in vec(any::<u8>(), 0..300)) {
        bodies::wire(&input.bytes);
        bodies::wire(&anything);
    }
}

/// Properties of input that never gets anywhere would hold of anything.
#[test]
fn generated_datagrams_reach_all() {
    let mut runner = TestRunner::deterministic();
    let verdicts: Vec<Verdict> = (0..12_000)
        .map(|case| match case % 2 {
            0 => sensible()
                .new_tree(&mut runner)
                .unwrap()
                .current()
                .verdict(),
            _ => damaged().new_tree(&mut runner).unwrap().current().verdict(),
        })
        .collect();
    for kind in Kind::ALL {
        let count = verdicts
            .iter()
            .filter(|verdict| matches!(verdict, Verdict::Send(reply) if reply.kind == kind))
            .count();
        assert!(count >= 10, "{kind:?}: {count}");
    }
    let unreached: Vec<Reason> = Reason::ALL
        .into_iter()
        .filter(|reason| !verdicts.contains(&Verdict::Drop(*reason)))
        .collect();
    assert_eq!(unreached, [Reason::RateLimited, Reason::Crowded]);
}

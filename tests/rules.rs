//! Every rule, case by case: the files of tests/vectors, whose bytes were computed apart from the code that they test.
#![forbid(unsafe_code)]
#![cfg(test)] // Clippy lets test code panic where it says so.

mod vectors;

use miredo_server::verdict::{Kind, Reason};
use vectors::{Outcome, Vector};

#[test]
fn every_vector_has_its_outcome() {
    let wrong: Vec<String> = vectors::all()
        .unwrap()
        .iter()
        .filter(|vector| vector.run() != vector.expected)
        .map(|vector| {
            format!(
                "{}\n  expected {:02x?}\n  got      {:02x?}",
                vector.name,
                vector.expected,
                vector.run()
            )
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Every kind and every reason has a vector.
#[test]
fn every_verdict_has_a_vector() {
    let vectors = vectors::all().unwrap();
    for kind in Kind::ALL {
        let covered = |vector: &Vector| matches!(vector.expected, Outcome::Send(expected, ..) if expected == kind);
        assert!(vectors.iter().any(covered), "no vector sends {kind:?}");
    }
    // A vector is one datagram, and one crowds nobody: tests/limits.rs.
    let alone = |reason: &Reason| *reason != Reason::Crowded;
    for reason in Reason::ALL.into_iter().filter(alone) {
        let covered = |vector: &Vector| vector.expected == Outcome::Drop(reason);
        assert!(
            vectors.iter().any(covered),
            "no vector drops for {reason:?}"
        );
    }
}

/// A bound that no vector reaches would be a bound that nobody knows to be tight.
#[test]
fn every_bound_is_reached() {
    let vectors = vectors::all().unwrap();
    for kind in Kind::ALL {
        let longest = vectors.iter().filter_map(|vector| match &vector.expected {
            Outcome::Send(expected, _, out) if *expected == kind => Some(out.len()),
            _ => None,
        });
        assert_eq!(longest.max(), Some(kind.max_len()), "{kind:?}");
    }
}

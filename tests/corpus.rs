//! The seed corpus of the fuzz targets, run through the same functions on any compiler.
#![forbid(unsafe_code)]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that overflows or panics has failed"
)]

#[path = "fuzz/bodies.rs"]
mod bodies;
#[expect(dead_code, reason = "the outcomes are for tests/rules.rs")]
mod vectors;

use std::fs;
use std::path::{Path, PathBuf};

use platform::Via;
use vectors::Vector;

#[test]
fn corpus_of_handle() {
    replay("handle", bodies::handle);
}

#[test]
fn corpus_of_wire() {
    replay("wire", bodies::wire);
}

/// The files of tests/conf, good and bad, to which a link in the corpus leads.
#[test]
fn corpus_of_conf() {
    replay("conf/good", bodies::conf);
    replay("conf/bad", bodies::conf);
}

#[test]
fn corpus_of_request() {
    replay("request", bodies::request);
}

/// A vector without its seeds would never be fuzzed. `cargo test --test corpus -- --ignored` writes them.
#[test]
fn every_vector_is_a_seed() {
    for (path, bytes) in seeds() {
        assert_eq!(
            fs::read(&path).ok().as_ref(),
            Some(&bytes),
            "{} is missing or old",
            path.display()
        );
    }
}

#[test]
#[ignore = "writes tests/fuzz/corpus"]
fn write_seeds() {
    for (path, bytes) in seeds() {
        fs::write(&path, bytes).unwrap();
    }
}

fn replay(target: &str, body: fn(&[u8])) {
    let mut count = 0;
    for entry in fs::read_dir(folder(target)).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        body(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count >= 25, "only {count} seeds for {target}");
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target)
}

fn seeds() -> Vec<(PathBuf, Vec<u8>)> {
    let seed = |target, vector: &Vector| folder(target).join(format!("{}.seed", vector.name));
    let vectors = vectors::all().unwrap();
    vectors
        .iter()
        .flat_map(|vector| {
            [
                (seed("handle", vector), handle_input(vector)),
                (seed("wire", vector), vector.bytes.clone()),
            ]
        })
        .collect()
}

/// See `bodies::handle`. Settings that its bits do not know are left out.
fn handle_input(vector: &Vector) -> Vec<u8> {
    let qualification = vector.settings.policy.qualification.as_ref();
    let bits = [
        (vector.settings.policy.allow_private, bodies::PRIVATE),
        (vector.settings.secondary.is_none(), bodies::ONE_ADDRESS),
        (vector.via == Via::Secondary, bodies::SECONDARY),
        (vector.truncated, bodies::TRUNCATED),
        (qualification.is_some(), bodies::QUALIFIED),
        (
            qualification.is_some_and(|qualification| qualification.required),
            bodies::REQUIRED,
        ),
    ];
    let bits: u8 = bits
        .iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, bit)| bit)
        .sum();
    let (address, port) = (vector.from.ip().octets(), vector.from.port().to_be_bytes());
    [&[bits][..], &address, &port, &vector.bytes].concat()
}

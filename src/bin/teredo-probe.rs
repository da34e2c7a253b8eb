//! teredo-probe(1): the order of start-up and nothing else.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use miredo_server::cli::probe::Options;
use miredo_server::probe::run::run;

fn main() -> ExitCode {
    run(&Options::parse())
}

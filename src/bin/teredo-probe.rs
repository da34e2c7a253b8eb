//! teredo-probe(1): the order of start-up and nothing else.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use miredo_server::cli::probe::Options;
use miredo_server::probe::run::{refuse, run};

fn main() -> ExitCode {
    match Options::try_parse() {
        Ok(options) => run(&options),
        Err(error) => refuse(&error),
    }
}

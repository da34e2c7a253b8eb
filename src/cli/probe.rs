//! The options of teredo-probe(8): here, where what is written from them can read them.

use clap::{Parser, ValueHint};

use crate::conf::Host;

/// Tell whether a Teredo server works, and how this host appears to it
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "teredo-probe", version, about, long_about = None)]
pub struct Options {
    /// Wait MILLISECONDS for each of three tries
    #[arg(short, long, value_name = "MILLISECONDS", default_value_t = 4000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    #[arg(value_hint = ValueHint::Other)]
    pub wait: u64,

    /// Primary IPv4 address of the server, or a name that has it
    #[arg(value_name = "SERVER", value_hint = ValueHint::Hostname)]
    pub server: Host,

    /// Secondary address, unless it is the next one
    #[arg(value_name = "SECONDARY", value_hint = ValueHint::Hostname)]
    pub secondary: Option<Host>,
}

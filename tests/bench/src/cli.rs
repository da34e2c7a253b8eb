//! The command line.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

#[cfg(feature = "xdp")]
use crate::driver::{alone, beside};
use crate::load::{Load, Pace};
use crate::traffic::{Kind, Target};
use crate::{Fault, compare, floor, handle, report};

#[derive(Parser)]
#[command(about, version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Ask a server that runs already, and report loss, rate and latency.
    Load(LoadArgs),
    /// Serve as the floor: answers of the right sizes and no thought.
    Floor(floor::FloorArgs),
    /// Measure Server::handle alone.
    Handle(handle::HandleArgs),
    /// Run floor, reference and ours side by side in network namespaces (as root).
    Compare(compare::CompareArgs),
    /// Measure the program in the network driver alone, a frame at a time (as root).
    #[cfg(feature = "xdp")]
    Driver(alone::AloneArgs),
    /// Run it beside floor, reference and ours on sockets, with clients in the driver, too (as root).
    #[cfg(feature = "xdp")]
    CompareDriver(beside::BesideArgs),
}

#[derive(Args)]
struct LoadArgs {
    /// The server's primary address; its secondary is the next.
    #[arg(long, default_value = "127.0.0.1")]
    to: Ipv4Addr,
    /// What to send.
    #[arg(long, default_value = "solicitation")]
    kind: Kind,
    /// First of the addresses to send from.
    #[arg(long, default_value = "127.0.0.1")]
    from: Ipv4Addr,
    /// How many addresses to send from.
    #[arg(long, default_value_t = 1)]
    addresses: u32,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Sockets of each thread.
    #[arg(long, default_value_t = 8)]
    sockets: usize,
    /// Questions a second in all, answered or not; without it, each socket keeps `window` questions open.
    #[arg(long)]
    rate: Option<u32>,
    /// Open questions of each socket.
    #[arg(long, default_value_t = 8)]
    window: usize,
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Load(args) => load(&args),
        Command::Floor(args) => floor::main(&args),
        Command::Handle(args) => handle::main(&args),
        Command::Compare(args) => compare::main(&args),
        #[cfg(feature = "xdp")]
        Command::Driver(args) => alone::main(&args),
        #[cfg(feature = "xdp")]
        Command::CompareDriver(args) => beside::main(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("miredo-bench: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn load(args: &LoadArgs) -> Result<(), Fault> {
    let load = Load {
        target: Target::at(args.to),
        kind: args.kind,
        from: args.from,
        addresses: args.addresses,
        threads: args.threads,
        sockets: args.sockets,
        pace: args.rate.map_or(Pace::Window(args.window), Pace::Rate),
        time: Duration::from_secs_f64(args.seconds),
    };
    let outcome = load.run()?;
    for (metric, value) in outcome.metrics() {
        println!("{}", report::line(metric, value));
    }
    Ok(())
}

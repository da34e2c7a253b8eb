//! Loads for Teredo servers, and what they do under them, side by side.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `cli` | the command line |
//! | `traffic` | what clients send, and what can be read from an answer |
//! | `client` | the sockets of one thread of clients, batched |
//! | `load` | clients that ask in a closed loop, or at a rate, and count |
//! | `flood` | datagrams as fast as they can be sent, from any source |
//! | `floor` | a server that does nothing but receive and send |
//! | `handle` | `Server::handle` alone |
//! | `namespace` | two hosts and a cable |
//! | `subject` | a server under load |
//! | `usage` | what its processes cost |
//! | `plan` | which loads are run against which subjects |
//! | `compare` | runs the plan, again and again |
//! | `report` | medians and ratios |
//! | `driver` | the program in the network driver, alone and beside the others |
#![forbid(unsafe_code)]
#![cfg_attr(
    target_os = "linux",
    expect(
        clippy::arithmetic_side_effects,
        reason = "an overflow ends the run, as it should: a wrong number would be worse"
    )
)]

use std::process::ExitCode;

cfg_if::cfg_if! {
    // Network namespaces, processors of one's own, and /proc have no match elsewhere.
    if #[cfg(target_os = "linux")] {
        mod absent;
mod cli;
        mod client;
        mod compare;
        #[cfg(feature = "xdp")]
        mod driver;
        mod flood;
        mod floor;
        mod handle;
        mod load;
        mod namespace;
        mod plan;
        mod report;
        mod subject;
        mod traffic;
        mod usage;

        /// What went wrong, for people.
        type Fault = Box<dyn std::error::Error + Send + Sync>;

        fn main() -> ExitCode {
            cli::main()
        }
    } else {
        fn main() -> ExitCode {
            eprintln!("miredo-bench: runs on Linux only");
            ExitCode::FAILURE
        }
    }
}

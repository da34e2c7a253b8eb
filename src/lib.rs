//! A Teredo server (RFC 4380): IPv6 for hosts behind IPv4 NATs.
//!
//! Data flows one way: `platform` receives a datagram, [`run`] hands it to [`server`], which reads it through
//! [`wire`] and answers with a [`verdict`]; [`run`] hands what is to leave back to `platform`.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`wire`] | Teredo addresses, encapsulation, IPv6 and ICMPv6, as views of bytes and as values |
//! | [`server`] | what becomes of one datagram; no socket, clock, log or allocation |
//! | [`qualification`] | secrets that server and clients share, and what they prove with them |
//! | [`limit`] | how much one receiver is sent, and how networks share |
//! | [`verdict`] | what was done, or which rule dropped the datagram; both are counted |
//! | [`acceleration`] | what a program in the network driver is told, to decide as the server does |
//! | [`run`] | the loops between platform and server |
//! | [`report`] | what a loop counts, and tells the log |
//! | [`cli`] | the options of miredo-server(8) |
//! | [`conf`] | miredo-server.conf(5): lines, directives, checked configuration |
//! | `escape` | text from elsewhere, for a terminal or a log |
//! | [`exposition`] | metrics as text, for Prometheus |
//! | [`logging`] | stderr or syslog(3) |
//! | [`daemon`] | monitor, worker and exporter, signals, process-id file |
//! | [`probe`] | teredo-probe(1): what a client asks of a server, and a client in user space |
//!
//! The platform crate beside this one holds the contracts `UdpPair` and `RawIcmp6`, a module a system behind them,
//! and all unsafe code.
#![forbid(unsafe_code)]

pub mod acceleration;
pub mod cli;
pub mod conf;
pub mod daemon;
mod escape;
pub mod exposition;
pub mod limit;
pub mod logging;
pub mod probe;
pub mod qualification;
pub mod report;
pub mod run;
pub mod server;
pub mod verdict;
pub mod wire;

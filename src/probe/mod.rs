//! What teredo-probe(1) decides and says.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`question`] | what is asked, from which port; how a solicitation is written |
//! | [`answer`] | what came back: an advertisement that a client takes, or why none would |
//! | [`inquiry`] | one server asked: what to send when, until all is answered or given up |
//! | [`verdict`], [`fault`] | answers to a report: does the server work, and if not, why |
//! | [`nat`] | which kind of NAT the answers show |
//! | [`client`], [`peer`], [`maintenance`] | a client that is qualified: paths to its peers, their limits, its mapping |
//! | [`text`], [`events`], [`packet`], [`summary`] | what a person reads |
//! | [`json`], [`monitor`], [`prometheus`] | what programs read |
//! | [`sockets`], [`rounds`], [`stop`], [`out`] | the edge: sockets, the loop around inquiries, signals, standard output |
//! | [`watch`] | a round in which a person watches, an exit status |
//! | [`run`], [`session`] | the command: servers asked, a client that stays |
//!
//! All but the edge and the command know no socket, clock or terminal: they are told.

pub mod answer;
pub mod client;
pub mod events;
pub mod fault;
pub mod inquiry;
pub mod json;
pub mod maintenance;
pub mod monitor;
pub mod nat;
pub mod out;
pub mod packet;
pub mod peer;
pub mod prometheus;
pub mod question;
pub mod rounds;
pub mod run;
pub mod session;
pub mod sockets;
pub mod stop;
pub mod summary;
pub mod text;
pub mod verdict;
pub mod watch;

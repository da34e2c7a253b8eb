//! The program in the network driver (XDP), alone and beside servers on sockets.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `frame` | what clients send, as it is on the wire |
//! | `alone` | nanoseconds a frame, one frame at a time |
//! | `cable` | two hosts whose driver has programs at both ends, and which processor does what there |
//! | `settings` | what the server and the program are told |
//! | `side` | a server at one end, and questions at a rate at the other |
//! | `beside` | the program and servers on sockets under the same loads, again and again |

pub(crate) mod alone;
pub(crate) mod beside;
mod cable;
mod frame;
mod settings;
mod side;

//! What a client tells while it stays: in words, and as objects.

use std::net::{Ipv6Addr, SocketAddrV4};
use std::time::Duration;

use serde::Serialize;

use super::client::Event;
use super::json::{self, now};
use super::peer::TRIES;
use super::summary::Summary;
use super::text::milliseconds;

/// An event in words.
#[must_use]
pub fn words(event: &Event) -> String {
    match event {
        Event::Address(address) => format!("the mapping changed; Teredo address: {address}"),
        Event::ServerSilent => "the server does not answer any more".to_owned(),
        Event::Opening(peer, number) => {
            format!("bubbles to {peer}, directly and through its server ({number} of {TRIES})")
        }
        Event::Testing(peer, number) => {
            format!("echo request through the server to {peer} ({number} of {TRIES})")
        }
        Event::Bubble(peer, origin) => {
            format!("bubble from {peer} through the server, origin {origin}")
        }
        Event::Open(peer, at) => format!("the way to {peer} is open, at {at}"),
        Event::Request(peer, sequence, length) => {
            format!("echo request from {peer}, sequence {sequence}, {length} bytes: answered")
        }
        Event::Reply(peer, sequence, after) => {
            format!(
                "reply from {peer}, sequence {sequence}: {}",
                milliseconds(*after)
            )
        }
        Event::GivenUp(peer, None) => format!("{peer} is given up after {TRIES} tries"),
        Event::GivenUp(peer, Some(relay)) => {
            format!(
                "{peer} is given up after {TRIES} tries, although the relay {relay} sent a bubble"
            )
        }
        Event::Limit(peer) => {
            format!("{peer} has not answered {TRIES} bubbles in 300 seconds: it is sent no more")
        }
    }
}

/// An event as an object in a line.
#[must_use]
pub fn object(event: &Event) -> String {
    let name = match event {
        Event::Address(_) => "address",
        Event::ServerSilent => "server-silent",
        Event::Opening(..) => "bubbles",
        Event::Testing(..) => "test",
        Event::Bubble(..) => "bubble",
        Event::Open(..) => "open",
        Event::Request(..) => "request",
        Event::Reply(..) => "reply",
        Event::GivenUp(..) => "given-up",
        Event::Limit(_) => "limit",
    };
    let mut object = Object {
        event: name,
        time: now(),
        ..Object::default()
    };
    match *event {
        Event::ServerSilent => {}
        Event::Address(address) => object.address = Some(address),
        Event::Opening(peer, number) | Event::Testing(peer, number) => {
            (object.address, object.number) = (Some(peer), Some(number));
        }
        Event::Bubble(peer, at) | Event::Open(peer, at) => {
            (object.address, object.at) = (Some(peer), Some(at));
        }
        Event::Request(peer, sequence, length) => {
            (object.address, object.sequence) = (Some(peer), Some(sequence));
            object.length = Some(length);
        }
        Event::Reply(peer, sequence, after) => {
            (object.address, object.sequence) = (Some(peer), Some(sequence));
            object.after_ms = Some(json::milliseconds(after));
        }
        Event::GivenUp(peer, relay) => (object.address, object.at) = (Some(peer), relay),
        Event::Limit(peer) => object.address = Some(peer),
    }
    json::line(&object)
}

/// What became of a test of the way to a native address (RFC 4380 section 5.2.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// The reply came, through this relay, after that time.
    Answered(SocketAddrV4, Duration),
    /// This relay sent a bubble, and no reply came through it.
    RelayOnly(SocketAddrV4),
    /// Nothing came.
    Nothing,
}

impl Native {
    /// In words.
    #[must_use]
    pub fn words(&self, to: Ipv6Addr) -> String {
        match self {
            Self::Answered(relay, after) => {
                format!(
                    "{to}: echo answered after {} through the relay {relay}",
                    milliseconds(*after)
                )
            }
            Self::RelayOnly(relay) => {
                format!("{to}: the relay {relay} sent a bubble, but the echo did not come")
            }
            Self::Nothing => format!(
                "{to}: nothing came: it is not there, 2001::/32 is filtered, or there is no relay"
            ),
        }
    }

    /// As an object in a line.
    #[must_use]
    pub fn object(&self, to: Ipv6Addr) -> String {
        let (outcome, at, after) = match *self {
            Self::Answered(relay, after) => ("answered", Some(relay), Some(after)),
            Self::RelayOnly(relay) => ("relay-only", Some(relay), None),
            Self::Nothing => ("nothing", None, None),
        };
        json::line(&Object {
            event: "native",
            time: now(),
            address: Some(to),
            outcome: Some(outcome),
            at,
            after_ms: after.map(json::milliseconds),
            ..Object::default()
        })
    }
}

/// The client has an address, as an object in a line.
#[must_use]
pub fn qualified(address: Ipv6Addr) -> String {
    json::line(&Object {
        event: "qualified",
        time: now(),
        address: Some(address),
        ..Object::default()
    })
}

/// The end of a ping as an object in a line; [`pinged`] has the words.
#[must_use]
pub fn pinged_object(peer: Ipv6Addr, sent: u64, times: &Summary) -> String {
    json::line(&Object {
        event: "ping-summary",
        time: now(),
        address: Some(peer),
        sent: Some(sent),
        received: Some(times.rounds),
        answer_min_ms: times.shortest.map(json::milliseconds),
        answer_avg_ms: times.average().map(json::milliseconds),
        answer_max_ms: times.longest.map(json::milliseconds),
        ..Object::default()
    })
}

/// The end of a ping in lines, as ping(8) has it.
#[must_use]
pub fn pinged(peer: Ipv6Addr, sent: u64, times: &Summary) -> String {
    let mut text = format!("--- {peer} ---\n{sent} sent, {} answered", times.rounds);
    text.extend(times.times().map(|times| format!("\n{times}")));
    text
}

#[derive(Default, Serialize)]
struct Object {
    event: &'static str,
    time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Ipv6Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<SocketAddrV4>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_min_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_avg_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_max_ms: Option<f64>,
}

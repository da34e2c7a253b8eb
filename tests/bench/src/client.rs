//! The sockets of one thread of clients. Datagrams move in batches, as the platform moves those of the server.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use platform::udp::Mover;
use platform::{BATCH, FastMover, Inbox, Outbox, SendReport, Via};

use crate::Fault;
use crate::traffic::{Kind, Target, Template, age};

/// What became of the questions of one thread.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// How old each answered question was, in nanoseconds.
    pub(crate) ages: Vec<u64>,
}

/// The sockets of one thread and its buffers.
pub(crate) struct Clients {
    clients: Vec<Client>,
    mover: FastMover,
    inbox: Inbox,
    outbox: Outbox,
    pub(crate) tally: Tally,
}

struct Client {
    socket: UdpSocket,
    templates: Vec<Template>,
    turn: usize,
    /// Asked less heard; below zero where the one before it was quicker.
    open: isize,
}

impl Clients {
    /// One client for each address. What the server forwards for one, it forwards to the next, the last one's to the first: it
    /// forwards nothing to where it came from, so bubbles and echoes take two. Each hears as much as it asks.
    pub(crate) fn new(
        addresses: impl Iterator<Item = Ipv4Addr>,
        target: Target,
        kind: Kind,
    ) -> Result<Self, Fault> {
        let sockets = addresses.map(socket).collect::<Result<Vec<_>, _>>()?;
        let places: Vec<_> = sockets.iter().map(|(_, place)| *place).collect();
        let peers = places.iter().cycle().skip(1);
        let clients = sockets.into_iter().zip(peers);
        let clients = clients.map(|((socket, client), peer)| {
            Ok::<_, Fault>(Client {
                socket,
                templates: kind.templates(target, client, *peer)?,
                turn: 0,
                open: 0,
            })
        });
        Ok(Self {
            clients: clients.collect::<Result<_, _>>()?,
            mover: FastMover::default(),
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            tally: Tally::default(),
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Has client `index` send so many questions more, at most a batch.
    pub(crate) fn ask(&mut self, index: usize, count: usize, now: u64) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        self.outbox.clear();
        for _ in 0..count.min(BATCH) {
            let Some(template) = client.templates.get(client.turn) else {
                return;
            };
            client.turn = (client.turn + 1) % client.templates.len();
            let len = self.outbox.free().map_or(0, |out| template.emit(out, now));
            self.outbox.push(Via::Primary, template.to, len);
        }
        let mut report = SendReport::default();
        let socket = client.socket.as_fd();
        self.mover.send(socket, self.outbox.iter(), 0, &mut report);
        client.open += report.sent as isize;
        self.tally.sent += report.sent as u64;
    }

    /// Takes in what client `index` was answered; says how much that was.
    pub(crate) fn hear(&mut self, index: usize, now: impl Fn() -> u64) -> Result<usize, Fault> {
        let Some(client) = self.clients.get_mut(index) else {
            return Ok(0);
        };
        self.inbox.clear();
        let socket = client.socket.as_fd();
        let heard = self.mover.receive(socket, Via::Primary, &mut self.inbox)?;
        let now = now();
        let ages = self
            .inbox
            .iter()
            .filter_map(|answer| age(answer.bytes, now));
        self.tally.ages.extend(ages);
        self.tally.answered += heard as u64;
        client.open -= heard as isize;
        Ok(heard)
    }

    /// How many more questions client `index` may have open in a window of `window`.
    pub(crate) fn room(&self, index: usize, window: usize) -> usize {
        self.clients
            .get(index)
            .map_or(0, |client| (window as isize - client.open).max(0) as usize)
    }

    /// Gives up on all open questions.
    pub(crate) fn forget(&mut self) {
        for client in &mut self.clients {
            client.open = 0;
        }
    }

    /// Waits until a client is answered, but no longer than `most`; says which are.
    pub(crate) fn wait(&self, most: Duration) -> io::Result<Vec<usize>> {
        let mut entries: Vec<_> = self
            .clients
            .iter()
            .map(|client| PollFd::new(client.socket.as_fd(), PollFlags::POLLIN))
            .collect();
        ppoll(&mut entries, Some(TimeSpec::from_duration(most)), None)?;
        let ready = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.any().unwrap_or(true));
        Ok(ready.map(|(index, _)| index).collect())
    }
}

/// A socket at any port of `address`, and where it is.
fn socket(address: Ipv4Addr) -> Result<(UdpSocket, SocketAddrV4), Fault> {
    let socket = UdpSocket::bind(SocketAddrV4::new(address, 0))
        .map_err(|error| format!("bind {address}: {error}"))?;
    socket.set_nonblocking(true)?;
    let port = socket.local_addr()?.port();
    Ok((socket, SocketAddrV4::new(address, port)))
}

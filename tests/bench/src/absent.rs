//! Bubbles to neighbours of the server who are not there, in even steps.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use miredo_server::wire::address::{ServicePrefix, TeredoAddress};
use miredo_server::wire::ipv6::{HEADER_LEN, Header};

use crate::Fault;
use crate::plan::CLIENTS;
use crate::traffic::Target;

/// Addresses of the servers' network that nobody has.
const FIRST: u32 = 100;
const COUNT: u32 = 150;

/// A native host, from which a server forwards bubbles to each of its clients.
const SOURCE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// So long before what is measured, so that the kernel waits for all of them already.
const AHEAD: Duration = Duration::from_millis(500);

/// Sends `rate` bubbles a second to the server, each for an absent neighbour of it, while `work` lasts.
pub(crate) fn during<T>(
    target: Target,
    rate: u32,
    work: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    let ended = &AtomicBool::new(false);
    thread::scope(|scope| {
        let sender = scope.spawn(move || send(target, rate, ended));
        thread::sleep(AHEAD);
        let done = work();
        ended.store(true, Ordering::Relaxed);
        sender
            .join()
            .map_err(|_| "who sends to absent neighbours failed")??;
        done
    })
}

fn send(target: Target, rate: u32, ended: &AtomicBool) -> Result<(), Fault> {
    let socket = UdpSocket::bind((CLIENTS, 0))?;
    let network = target.primary.ip().to_bits() & !0xff;
    let start = Instant::now();
    for number in 0.. {
        let ip = Ipv4Addr::from_bits(network + FIRST + number % COUNT);
        let absent = TeredoAddress {
            prefix: ServicePrefix::GLOBAL,
            server: *target.primary.ip(),
            flags: 0,
            mapped: SocketAddrV4::new(ip, 4000),
        };
        let mut bubble = [0; HEADER_LEN];
        Header::bubble(SOURCE, absent.to_ipv6())
            .emit(&mut bubble)
            .ok_or("a bubble takes more than its header")?;
        socket.send_to(&bubble, target.primary)?;
        let next = Duration::from_secs_f64(f64::from(number + 1) / f64::from(rate));
        thread::sleep(next.saturating_sub(start.elapsed()));
        if ended.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(())
}

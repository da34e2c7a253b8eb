use super::*;
use socket2::SockRef;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;

use crate::conf::Address;
use crate::daemon::status::{Count, State};
use crate::verdict::Counters;

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir();
    let path = path.join(format!("miredo-sock-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

fn listening(name: &str) -> Statistics {
    let path = scratch(name);
    Statistics::with(UnixListener::bind(&path).unwrap(), &path).unwrap()
}

fn status() -> Status {
    Status {
        version: "0".to_owned(),
        state: State::Serving,
        pid: 1,
        worker_pid: None,
        start_time_seconds: 0,
        uptime_seconds: 0,
        primary: Address {
            bound: Ipv4Addr::LOCALHOST,
            public: Ipv4Addr::LOCALHOST,
        },
        secondary: None,
        prefix: "2001::/32".to_owned(),
        workers: 1,
        accelerated: Vec::new(),
        reloads: 0,
        reloads_refused: 0,
        restarts: 0,
        counters: Count::all(&Counters::new()),
    }
}

#[test]
fn a_client_has_one_message_and_the_end() {
    let (mut statistics, now) = (listening("one"), Instant::now());
    assert!(!statistics.accept(now) && !statistics.is_asked());
    let mut client = UnixStream::connect(statistics.path()).unwrap();
    assert!(statistics.accept(now) && statistics.is_asked());
    assert!(!statistics.is_late(now) && statistics.is_late(now + COUNTING));
    statistics.tend(now);
    statistics.answer(&status(), now);
    statistics.tend(now);
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, serde_json::to_string(&status()).unwrap() + "\n");
    assert!(statistics.clients.is_empty() && statistics.deadline().is_none());
    let path = statistics.path().to_owned();
    drop(statistics);
    assert!(!path.exists());
}

#[test]
fn whoever_does_not_read_is_dropped() {
    let (mut statistics, now) = (listening("silent"), Instant::now());
    let mut client = UnixStream::connect(statistics.path()).unwrap();
    assert!(statistics.accept(now));
    let server = SockRef::from(&statistics.clients[0].channel).set_send_buffer_size(1);
    server.unwrap();
    // On the BSDs, the room is that of who reads.
    SockRef::from(&client).set_recv_buffer_size(1024).unwrap();
    statistics.answer(&status(), now);
    statistics.tend(now);
    assert_eq!(statistics.awaited().count(), 2, "no room for all of it");
    assert_eq!(statistics.deadline(), now.checked_add(READING));
    statistics.tend(now + READING);
    assert!(statistics.clients.is_empty());
    let mut part = Vec::new();
    client.read_to_end(&mut part).unwrap();
    assert!(!part.ends_with(b"\n"), "not all of it");
}

#[test]
fn of_many_the_first_are_served() {
    let (mut statistics, now) = (listening("many"), Instant::now());
    let connect = |_| UnixStream::connect(statistics.path()).unwrap();
    let mut clients: Vec<_> = (0..CLIENTS + 1).map(connect).collect();
    assert!(statistics.accept(now));
    assert_eq!(statistics.clients.len(), CLIENTS);
    assert_eq!(
        statistics.awaited().count(),
        0,
        "nothing to wait for but their counters"
    );
    assert!(!statistics.accept(now));
    // One is gone before it is answered.
    drop(clients.remove(0));
    statistics.answer(&status(), now);
    statistics.tend(now);
    assert!(statistics.clients.is_empty());
    assert!(statistics.accept(now), "the last one");
}

#[test]
fn a_socket_that_nobody_listens_at_is_replaced() {
    let path = scratch("stale");
    remove_stale(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let refused = || remove_stale(&path).unwrap_err().to_string();
    assert!(
        refused().contains("another process listens there"),
        "{}",
        refused()
    );
    drop(listener);
    remove_stale(&path).unwrap();
    assert!(!path.exists());
    fs::write(&path, "no socket").unwrap();
    assert!(refused().contains("no socket is there"), "{}", refused());
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/nowhere", &path).unwrap();
    assert!(refused().contains("no socket is there"), "{}", refused());
    fs::remove_file(&path).unwrap();
    if geteuid().is_root() {
        drop(UnixListener::bind(&path).unwrap());
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        assert!(refused().contains("another user"), "{}", refused());
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_somebody_else_put_there_stays() {
    let statistics = listening("replaced");
    let path = statistics.path().to_owned();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "other").unwrap();
    drop(statistics);
    assert_eq!(fs::read_to_string(&path).unwrap(), "other");
    fs::remove_file(&path).unwrap();
}

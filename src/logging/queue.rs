//! Lines on their way to stderr or syslog(3).
//!
//! A terminal that was stopped, a pipe that nobody reads and a syslogd(8) that hangs make whoever writes to them wait, and
//! syslog(3) cannot be told not to. So one thread writes, and lines wait for it in a queue. What has no room is lost and
//! counted.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use log::{Level, Log, Metadata, Record, warn};

use super::{LogLine, Sink, Target, filter};
use crate::conf::Facility;

/// Lines that may wait.
const ROOM: usize = 256;

/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_millis(500);

enum Item {
    Line(LogLine),
    /// Changes the facility.
    Open(Facility),
    /// Tells whoever waits that all before it was written.
    Written(SyncSender<()>),
}

struct Queue {
    sink: Sink,
    items: SyncSender<Item>,
    /// The other end, until the thread has it.
    waiting: Mutex<Option<Receiver<Item>>>,
    lost: AtomicU64,
}

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Starts logging, once a process; later calls only change the facility. Lines wait until [`start`].
pub fn init(target: Target) {
    let queue = QUEUE.get_or_init(|| {
        let (items, waiting) = sync_channel(ROOM);
        Queue {
            sink: Sink::new(target),
            items,
            waiting: Mutex::new(Some(waiting)),
            lost: AtomicU64::new(0),
        }
    });
    if let Target::Syslog(facility) = target {
        queue.offer(Item::Open(facility));
    }
    // It fails where the queue is the logger already.
    if log::set_logger(queue).is_ok() {
        log::set_max_level(queue.sink.level());
        if let (Target::Stderr, Err(why)) = (target, filter::wanted()) {
            warn!("{why}");
        }
    }
}

/// Starts the thread that writes. To be called when this process forks no more.
///
/// # Errors
/// When there can be no thread.
pub fn start() -> io::Result<()> {
    if let Some((queue, items)) = QUEUE.get().and_then(|queue| Some((queue, queue.take()?))) {
        let write = move || items.into_iter().for_each(|item| queue.handle(item));
        thread::Builder::new().name("log".to_owned()).spawn(write)?;
    }
    Ok(())
}

/// Waits until all is written, but not long.
pub fn finish() {
    let Some(queue) = QUEUE.get() else { return };
    if let Some(items) = queue.take() {
        return items.try_iter().for_each(|item| queue.handle(item));
    }
    let (written, wait) = sync_channel(1);
    let mut item = Item::Written(written);
    let deadline = Instant::now().checked_add(LAST_LINES);
    while let Err(TrySendError::Full(back)) = queue.items.try_send(item) {
        if deadline.is_none_or(|deadline| deadline <= Instant::now()) {
            return;
        }
        item = back;
        thread::sleep(Duration::from_millis(10));
    }
    let _ = wait.recv_timeout(LAST_LINES);
}

impl Queue {
    fn offer(&self, item: Item) {
        if self.items.try_send(item).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take(&self) -> Option<Receiver<Item>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.take()
    }

    fn handle(&self, item: Item) {
        match item {
            Item::Line(line) => self.sink.write(&line),
            Item::Open(facility) => platform::syslog::open(facility.code()),
            // Nobody waits any more.
            Item::Written(written) => drop(written.try_send(())),
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.sink.write(&LogLine {
                level: Level::Warn,
                target: module_path!().to_owned(),
                text: format!("{lost} log lines were lost: the log was not read fast enough"),
            });
        }
    }
}

impl Log for Queue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.sink.level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.sink.takes(record) {
            self.offer(Item::Line(LogLine::new(record)));
        }
    }

    fn flush(&self) {}
}

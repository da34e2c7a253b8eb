//! Lines of a worker on their way to the monitor, which alone speaks to the log.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::LogLine;

/// Gives a line away without waiting, and says whether it was taken.
type Offer = Box<dyn Fn(LogLine) -> bool + Send + Sync>;

struct Forward {
    offer: Offer,
    level: LevelFilter,
    lost: AtomicU64,
}

static FORWARD: OnceLock<Forward> = OnceLock::new();

/// Has every line of this process up to `level` go through `offer`. What that does not take is lost, and counted.
pub fn forward(level: LevelFilter, offer: Offer) {
    let forward = FORWARD.get_or_init(|| Forward {
        offer,
        level,
        lost: AtomicU64::new(0),
    });
    if log::set_logger(forward).is_ok() {
        log::set_max_level(level);
    }
}

impl Forward {
    fn offer(&self, line: LogLine) {
        if !(self.offer)(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Log for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0
            && !(self.offer)(LogLine {
                level: Level::Warn,
                target: module_path!().to_owned(),
                text: format!("{lost} log lines of the worker were lost"),
            })
        {
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
        self.offer(LogLine::new(record));
    }

    fn flush(&self) {}
}

//! A driver whose maps are files.

use super::*;

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use platform::accelerator::{Attachment, Mode};

use crate::verdict::Outcome;

/// A file of counts: of datagrams answered and over the limit.
struct Map(PathBuf);

impl Map {
    fn new(name: &str) -> Self {
        let name = format!("miredo-driver-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn set(&self, advertisements: u64, limited: u64) {
        fs::write(&self.0, format!("{advertisements} {limited}")).unwrap();
    }

    /// What is attached to the loopback interface, or to one that is not there.
    fn attached(&self, interface: &str) -> Attached {
        let open = |path: &Path| File::open(path).unwrap().into();
        let attachment = Attachment {
            mode: Mode::Generic,
            link: open(Path::new("/dev/null")),
            counters: open(&self.0),
        };
        Attached::new(interface.to_owned(), attachment)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn counts(map: BorrowedFd<'_>) -> Result<Counts, OsError> {
    let mut file = File::from(map.try_clone_to_owned().unwrap());
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    let (advertisements, limited) = text.split_once(' ').ok_or_else(|| {
        // As bpf(2) where a map cannot be read.
        OsError::refused("read", "map", "unreadable")
    })?;
    let mut counts = Counts {
        advertisements: advertisements.parse().unwrap(),
        ..Counts::default()
    };
    counts.dropped[9] = limited.parse().unwrap();
    counts.received[0] = [counts.advertisements, counts.dropped[9]].iter().sum();
    Ok(counts)
}

fn driver(attached: Vec<Attached>) -> Driver {
    Driver {
        attached,
        counts,
        ..Driver::default()
    }
}

fn sums(driver: &Driver) -> [u64; 3] {
    let counters = driver.counters();
    [Outcome::Received, Outcome::Sent, Outcome::Dropped].map(|outcome| counters.sum(outcome))
}

#[test]
fn numbers_are_added_and_never_fall() {
    let (one, other) = (Map::new("one"), Map::new("other"));
    one.set(5, 1);
    other.set(10, 0);
    let mut driver = driver(vec![one.attached("lo"), other.attached("lo")]);
    let now = Instant::now();
    assert_eq!(driver.deadline(), None);
    assert_eq!(sums(&driver), [0; 3]);
    driver.read(now);
    assert_eq!(sums(&driver), [16, 15, 1]);
    assert_eq!(driver.deadline(), now.checked_add(PAUSE));
    // One that cannot be read is as before, and the other is not.
    fs::write(&one.0, "").unwrap();
    other.set(20, 0);
    driver.read(now);
    assert_eq!(sums(&driver), [26, 25, 1]);
    one.set(4, 0);
    driver.read(now);
    assert_eq!(sums(&driver), [26, 25, 1]);
    // Its last numbers count, and the next program begins at zero.
    one.set(7, 1);
    driver.end(now);
    assert_eq!(sums(&driver), [28, 27, 1]);
    assert_eq!((driver.deadline(), driver.is_over()), (None, true));
    other.set(1, 0);
    driver.attached = vec![other.attached("lo")];
    driver.read(now);
    assert_eq!(sums(&driver), [29, 28, 1]);
}

#[test]
fn what_is_over_the_limit_is_said_once_a_minute_and_nothing_is_kept_back() {
    let map = Map::new("limited");
    map.set(0, 7);
    let mut driver = driver(vec![map.attached("lo")]);
    let start = Instant::now();
    let mut unsaid = |limited, second| {
        map.set(0, limited);
        driver.read(start + Duration::from_secs(second));
        driver.unsaid
    };
    assert_eq!(unsaid(7, 0), 0);
    assert_eq!(unsaid(9, 5), 2);
    assert_eq!(unsaid(9, 59), 2);
    assert_eq!(unsaid(10, 60), 0);
    assert_eq!(unsaid(11, 61), 1);
}

/// Linux calls it lo, the BSDs and macOS lo0.
fn loopback() -> &'static str {
    if cfg!(target_os = "linux") {
        "lo"
    } else {
        "lo0"
    }
}

#[test]
fn an_interface_that_is_gone_is_not_shown() {
    let map = Map::new("gone");
    map.set(1, 0);
    let attached = ["no-such-if", loopback()].map(|name| map.attached(name));
    let driver = driver(attached.into());
    let shown = driver.accelerated();
    let [only] = shown.as_slice() else {
        panic!("{shown:?}")
    };
    assert_eq!((&*only.interface, &*only.mode), (loopback(), "generic"));
    assert!(!driver.is_whole());
}

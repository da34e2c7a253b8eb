//! A driver whose links and maps are files.

use super::*;

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use platform::accelerator::{Attachment, Mode};

use crate::verdict::Outcome;

/// A file of counts: of datagrams answered and over the limit. And one of where the program is.
struct Map(PathBuf);

impl Map {
    fn new(name: &str) -> Self {
        let name = format!("miredo-driver-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn set(&self, advertisements: u64, limited: u64) {
        fs::write(&self.0, format!("{advertisements} {limited}")).unwrap();
    }

    fn link(&self) -> PathBuf {
        self.0.with_extension("link")
    }

    /// Name, last octet of the Ethernet address and number of VLANs; or nothing.
    fn move_to(&self, place: &str) {
        fs::write(self.link(), place).unwrap();
    }

    fn attached(&self) -> Attached {
        self.move_to("eth0 1 0");
        let open = |path: &Path| File::open(path).unwrap().into();
        let attachment = Attachment {
            mode: Mode::Generic,
            link: open(&self.link()),
            counters: open(&self.0),
        };
        Attached::new(attachment, SYSTEM)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_file(self.link());
    }
}

const SYSTEM: System = System { place, counts };

fn text(file: BorrowedFd<'_>) -> String {
    let mut file = File::from(file.try_clone_to_owned().unwrap());
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

fn place(link: BorrowedFd<'_>) -> Result<Option<Place>, OsError> {
    let text = text(link);
    let words: Vec<_> = text.split(' ').collect();
    let [interface, octet, vlans] = words.as_slice() else {
        return Ok(None);
    };
    Ok(Some(Place {
        interface: (*interface).to_owned(),
        ethernet: [2, 0, 0, 0, 0, octet.parse().unwrap()],
        has_vlans: *vlans != "0",
    }))
}

fn counts(map: BorrowedFd<'_>) -> Result<Counts, OsError> {
    let text = text(map);
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
        system: SYSTEM,
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
    let mut driver = driver(vec![one.attached(), other.attached()]);
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
    driver.attached = vec![other.attached()];
    driver.read(now);
    assert_eq!(sums(&driver), [29, 28, 1]);
}

#[test]
fn what_is_over_the_limit_is_said_once_a_minute_and_nothing_is_kept_back() {
    let map = Map::new("limited");
    map.set(0, 7);
    let mut driver = driver(vec![map.attached()]);
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

/// It is shown where it does something, and attached again, at the next reload, where it is not as it was.
#[test]
fn an_interface_that_has_changed_is_known() {
    let map = Map::new("changed");
    map.set(1, 0);
    let driver = driver(vec![map.attached()]);
    for (place, shown, is_whole) in [
        ("eth0 1 0", Some("eth0"), true),
        ("wan0 1 0", Some("wan0"), false),
        ("eth0 1 1", Some("eth0"), false),
        // No frame has its former address, and nothing is answered.
        ("eth0 7 0", None, false),
        // Detached, or the interface is gone.
        ("", None, false),
    ] {
        map.move_to(place);
        let accelerated = driver.accelerated();
        let mut names = accelerated.iter().map(|shown| shown.interface.as_str());
        assert_eq!((names.next(), names.next()), (shown, None), "{place}");
        let there = |attached: &Attached| attached.is_there(driver.system);
        assert_eq!(driver.attached.iter().all(there), is_whole, "{place}");
    }
}

//! The XDP program of `platform/xdp`: loading it, attaching it, reading what it has counted (bpf(2), Documentation/bpf in the
//! kernel).
//!
//! | module | what it is for |
//! | --- | --- |
//! | `layout` | what the program knows too |
//! | `settings` | what it is told |
//! | `interface` | where it can be attached |
//! | `driver` | which driver an interface has |
//! | `link` | an interface that holds a program for as long as a descriptor is open |
//! | `failure` | why it cannot |
//! | `bench` | programs of tests/bench, which are no part of the server |

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray};
use aya::programs::{TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};

use crate::accelerator::{Attachment, Counts, Drop, Mode, Place, Rules};
use crate::contract::DATAGRAM_MAX;
use crate::error::OsError;

#[cfg(has_xdp_bench)]
pub mod bench;
mod driver;
mod failure;
mod interface;
#[path = "../../../xdp/src/layout.rs"]
#[expect(dead_code, unreachable_pub, reason = "the program uses the rest")]
mod layout;
mod link;
mod settings;

use failure::{PRIVILEGE, load_failed, map_failed, missing, program_failed};
pub use interface::Interface;
use settings::Told;

// What the program takes, the server takes whole.
const _: () = assert!(layout::PAYLOAD_MAX == DATAGRAM_MAX);

/// The program as it was built.
static PROGRAM: &[u8] = aya::include_bytes_aligned!(env!("MIREDO_XDP_PROGRAM"));

/// The program in the kernel, attached to nothing.
#[derive(Debug)]
pub struct Program {
    ebpf: Ebpf,
}

/// Where a program has the time from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The kernel.
    Kernel,
    /// [`Program::set_clock`], for tests.
    Test,
}

/// What a program made of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// `enum xdp_action` (include/uapi/linux/bpf.h).
    pub action: u32,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// How long the program took, as the kernel measures it.
    pub time: Duration,
}

/// Of `enum xdp_action`.
pub const XDP_DROP: u32 = 1;
/// See [`XDP_DROP`].
pub const XDP_PASS: u32 = 2;
/// See [`XDP_DROP`].
pub const XDP_TX: u32 = 3;

impl Program {
    /// Loads the program for an interface with this Ethernet address.
    ///
    /// # Errors
    /// Of bpf(2): no privilege, no such kernel; that its verifier refuses the program; too many addresses of this host.
    pub fn load(rules: &Rules, ethernet: [u8; 6], clock: Clock) -> Result<Self, OsError> {
        let room = usize::try_from(layout::HOST_ADDRESSES).unwrap_or(usize::MAX);
        if settings::host(rules).count() > room {
            let why = "this host has more addresses than it has room for";
            return Err(OsError::refused("load XDP program", "", why));
        }
        let settings = Told(settings::settings(rules, ethernet, clock));
        let mut ebpf = EbpfLoader::new()
            // What it was made from is of no use here, and its types take 13 MiB to read.
            .btf(None)
            .override_global("SETTINGS", &settings, true)
            .load(PROGRAM)
            .map_err(load_failed)?;
        let map = ebpf.map_mut("HOST").ok_or_else(|| missing("HOST"))?;
        let mut host = HashMap::<_, u32, u32>::try_from(map).map_err(map_failed)?;
        for (address, what) in settings::host(rules) {
            host.insert(address, what, 0).map_err(map_failed)?;
        }
        let mut program = Self { ebpf };
        program.xdp_mut()?.load().map_err(program_failed)?;
        Ok(program)
    }

    /// Attaches it to an interface, which holds it for as long as the link is open, in the first of these modes that the driver has
    /// a place for.
    ///
    /// # Errors
    /// Of bpf(2): there is no such interface, or another program is attached there.
    pub fn attach(mut self, interface: &Interface, modes: &[Mode]) -> Result<Attachment, OsError> {
        let counters = self.counters()?.try_clone_to_owned();
        let counters = counters.map_err(|error| OsError::new("dup", &interface.name, error))?;
        let program = self.xdp_mut()?.fd().map_err(program_failed)?;
        let (mode, link) =
            link::create(program.as_fd(), interface.index, modes).map_err(|error| {
                let failed = OsError::new("attach XDP program", &interface.name, error);
                match failed.raw_os_error() {
                    Some(libc::EBUSY | libc::EEXIST) => failed.remedy(format!(
                        "another program is attached there: \"ip -d link show {}\" tells which",
                        interface.name
                    )),
                    _ => failed.permission(PRIVILEGE, PRIVILEGE),
                }
            })?;
        Ok(Attachment {
            mode,
            link,
            counters,
        })
    }

    /// Runs it once on a frame that comes from nowhere (`BPF_PROG_TEST_RUN`).
    ///
    /// # Errors
    /// Of bpf(2); a frame is at least 14 bytes long, and at most about 3500.
    pub fn run(&mut self, frame: &[u8]) -> Result<Run, OsError> {
        test_run(self.xdp_mut()?, frame)
    }

    /// Sets the time of [`Clock::Test`], in nanoseconds.
    ///
    /// # Errors
    /// Of bpf(2).
    pub fn set_clock(&mut self, time: u64) -> Result<(), OsError> {
        let map = self.ebpf.map_mut("CLOCK").ok_or_else(|| missing("CLOCK"))?;
        let mut clock = Array::<_, u64>::try_from(map).map_err(map_failed)?;
        clock.set(0, time, 0).map_err(map_failed)
    }

    /// What it has counted.
    ///
    /// # Errors
    /// Of bpf(2).
    pub fn counts(&self) -> Result<Counts, OsError> {
        counts(self.counters()?)
    }

    fn counters(&self) -> Result<BorrowedFd<'_>, OsError> {
        match self.ebpf.map("COUNTERS") {
            Some(Map::PerCpuArray(map)) => Ok(map.fd().as_fd()),
            _ => Err(missing("COUNTERS")),
        }
    }

    fn xdp_mut(&mut self) -> Result<&mut Xdp, OsError> {
        let program = self.ebpf.program_mut("teredo");
        let program = program.ok_or_else(|| missing("teredo"))?;
        program.try_into().map_err(program_failed)
    }
}

/// See [`Program::run`].
fn test_run(program: &mut Xdp, frame: &[u8]) -> Result<Run, OsError> {
    let mut out = vec![0; 4096];
    let options = TestRunOptions {
        data_in: Some(frame),
        data_out: Some(&mut out),
        ..TestRunOptions::new()
    };
    let result = program.test_run(options).map_err(program_failed)?;
    out.truncate(usize::try_from(result.data_size_out).unwrap_or_default());
    Ok(Run {
        action: result.return_value,
        frame: out,
        time: result.duration,
    })
}

/// See [`crate::accelerator::Accelerator::attach`].
pub(super) fn attach(rules: &Rules, interface: &str) -> Result<Attachment, OsError> {
    let interface = Interface::named(interface)?;
    let program = Program::load(rules, interface.ethernet, Clock::Kernel)
        .map_err(|error| error.about(&interface.name))?;
    program.attach(&interface, interface.modes())
}

/// See [`crate::accelerator::Accelerator::place`].
pub(super) fn place(link: BorrowedFd<'_>) -> Result<Option<Place>, OsError> {
    let index = link::interface(link).map_err(|error| OsError::new("bpf", "XDP link", error))?;
    match index {
        Some(index) => interface::place(index),
        None => Ok(None),
    }
}

/// See [`crate::accelerator::Accelerator::counts`].
pub(super) fn counts(counters: BorrowedFd<'_>) -> Result<Counts, OsError> {
    let failed = |error| OsError::new("dup", "XDP counters", error);
    let copy: OwnedFd = counters.try_clone_to_owned().map_err(failed)?;
    let map = Map::PerCpuArray(MapData::from_fd(copy).map_err(map_failed)?);
    let map = PerCpuArray::<_, [u64; layout::COUNTERS]>::try_from(map).map_err(map_failed)?;
    let mut counts = Counts::default();
    for counted in map.get(&0, 0).map_err(map_failed)?.iter() {
        let count = |index: usize| counted.get(index).copied().unwrap_or_default();
        let [primary, secondary] = &mut counts.received;
        add(primary, count(layout::RECEIVED_PRIMARY));
        add(secondary, count(layout::RECEIVED_SECONDARY));
        add(&mut counts.advertisements, count(layout::ADVERTISED));
        for (sum, reason) in counts.dropped.iter_mut().zip(Drop::ALL) {
            add(sum, count(layout::DROPPED.saturating_add(reason as usize)));
        }
    }
    Ok(counts)
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

//! The programs of tests/bench: clients that ask as fast as the driver takes it, and the least that a program can do.

use std::fmt;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use aya::maps::{Array, PerCpuArray};
use aya::programs::{TestRun, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader, Pod};

use super::failure::{load_failed, map_failed, missing, program_failed};
use super::{Interface, Run, link, test_run};
use crate::accelerator::Mode;
use crate::error::OsError;

#[path = "../../../../xdp/src/bench/order.rs"]
#[expect(unreachable_pub, reason = "the programs see it, too")]
mod order;

pub use order::FIRST_EPHEMERAL;
use order::{BEHIND, FRAME_MAX, Order};

/// The programs as they were built.
static PROGRAMS: &[u8] = aya::include_bytes_aligned!(env!("MIREDO_XDP_BENCH"));

/// Frames at a rate.
#[derive(Clone, Debug)]
pub struct Questions {
    /// One of them: Ethernet, IPv4 without options, UDP and what that holds. Sources and checksums are written over.
    pub frame: Vec<u8>,
    /// The lowest source address.
    pub source: Ipv4Addr,
    /// How many, a power of two; each comes once before one comes again.
    pub addresses: u32,
    /// The lowest source port.
    pub port: u16,
    /// How many ports, a power of two, by chance.
    pub ports: u16,
    /// Frames a second; 0 is as fast as can be.
    pub rate: u32,
}

/// Frames that are made up for at most, where the sender was held up.
const SLACK: u64 = 64;

/// What sends them.
pub struct Generator(Ebpf);

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Generator")
    }
}

// SAFETY: integers and an array of octets; the fields fill the struct, which has no padding of the compiler's.
unsafe impl Pod for Order {}

impl Generator {
    /// Loads the program.
    ///
    /// # Errors
    /// Of bpf(2); that the frame is too long or too short.
    pub fn load(questions: &Questions) -> Result<Self, OsError> {
        let order = order(questions).ok_or_else(|| {
            let why = "the frame is too long or too short, or a number is no power of two";
            OsError::refused("load XDP program", "generate", why)
        })?;
        let mut ebpf = load("generate")?;
        let map = ebpf.map_mut("ORDER").ok_or_else(|| missing("ORDER"))?;
        let mut map = Array::<_, Order>::try_from(map).map_err(map_failed)?;
        map.set(0, order, 0).map_err(map_failed)?;
        Ok(Self(ebpf))
    }

    /// Looks so many times whether a frame is due, and lets each that is leave by this interface.
    ///
    /// # Errors
    /// Of bpf(2); the interface must have a program of its own.
    pub fn run(&mut self, interface: &Interface, times: u32) -> Result<(), OsError> {
        let map = self.0.map("ORDER").ok_or_else(|| missing("ORDER"))?;
        let map = Array::<_, Order>::try_from(map).map_err(map_failed)?;
        let order = map.get(&0, 0).map_err(map_failed)?;
        let length = usize::try_from(order.length).unwrap_or(FRAME_MAX);
        let frame = vec![0; length.saturating_add(BEHIND)];
        let program = xdp_mut(&mut self.0, "generate")?;
        test_run_live(program, &frame, interface.index, times)
    }

    /// How many have been sent, and in which time.
    ///
    /// # Errors
    /// Of bpf(2).
    pub fn sent(&self) -> Result<(u64, Duration), OsError> {
        let map = self.0.map("ORDER").ok_or_else(|| missing("ORDER"))?;
        let map = Array::<_, Order>::try_from(map).map_err(map_failed)?;
        let order = map.get(&0, 0).map_err(map_failed)?;
        let time = order.due.saturating_sub(order.begin);
        Ok((order.sent, Duration::from_nanos(time)))
    }
}

/// What counts answers to ports below [`FIRST_EPHEMERAL`], and drops them; the rest passes.
pub struct Sink {
    ebpf: Ebpf,
    _link: OwnedFd,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

impl Sink {
    /// Attaches it.
    ///
    /// # Errors
    /// As for [`super::Program::attach`].
    pub fn attach(interface: &Interface) -> Result<Self, OsError> {
        let mut ebpf = load("sink")?;
        let link = attach(&mut ebpf, "sink", interface)?;
        Ok(Self { ebpf, _link: link })
    }

    /// How many answers came, and the sum of their lengths in bytes.
    ///
    /// # Errors
    /// Of bpf(2).
    pub fn answers(&self) -> Result<(u64, u64), OsError> {
        let map = self.ebpf.map("ANSWERS").ok_or_else(|| missing("ANSWERS"))?;
        let map = PerCpuArray::<_, [u64; 2]>::try_from(map).map_err(map_failed)?;
        let (mut count, mut length) = (0_u64, 0_u64);
        for [more, octets] in map.get(&0, 0).map_err(map_failed)?.iter() {
            count = count.saturating_add(*more);
            length = length.saturating_add(*octets);
        }
        Ok((count, length))
    }
}

/// A program that lets everything pass.
pub struct Empty(Ebpf);

impl fmt::Debug for Empty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Empty")
    }
}

impl Empty {
    /// Loads it.
    ///
    /// # Errors
    /// Of bpf(2).
    pub fn load() -> Result<Self, OsError> {
        load("empty").map(Self)
    }

    /// As [`super::Program::run`].
    ///
    /// # Errors
    /// Of bpf(2).
    pub fn run(&mut self, frame: &[u8]) -> Result<Run, OsError> {
        test_run(xdp_mut(&mut self.0, "empty")?, frame)
    }

    /// Attaches it for as long as the link is open.
    ///
    /// # Errors
    /// As for [`super::Program::attach`].
    pub fn attach(mut self, interface: &Interface) -> Result<OwnedFd, OsError> {
        attach(&mut self.0, "empty", interface)
    }
}

fn load(name: &'static str) -> Result<Ebpf, OsError> {
    let mut ebpf = EbpfLoader::new()
        .btf(None)
        .load(PROGRAMS)
        .map_err(load_failed)?;
    xdp_mut(&mut ebpf, name)?.load().map_err(program_failed)?;
    Ok(ebpf)
}

fn attach(ebpf: &mut Ebpf, name: &'static str, interface: &Interface) -> Result<OwnedFd, OsError> {
    let program = xdp_mut(ebpf, name)?.fd().map_err(program_failed)?;
    let failed = |error| OsError::new("attach XDP program", &interface.name, error);
    let (_, link) =
        link::create(program.as_fd(), interface.index, &[Mode::Native]).map_err(failed)?;
    Ok(link)
}

fn xdp_mut<'e>(ebpf: &'e mut Ebpf, name: &'static str) -> Result<&'e mut Xdp, OsError> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(program_failed)
}

/// The order in the form of the program's memory.
fn order(questions: &Questions) -> Option<Order> {
    let mut whole = questions.frame.clone();
    for place in [24..30, 34..36, 40..42] {
        whole.get_mut(place)?.fill(0);
    }
    let mut frame = [0; FRAME_MAX];
    frame.get_mut(..whole.len())?.copy_from_slice(&whole);
    let datagram = whole.get(34..)?;
    let length = u16::try_from(datagram.len()).ok()?.to_be_bytes();
    let mut summed = whole.get(30..34)?.to_vec();
    summed.extend([[0, 17], length].as_flattened());
    summed.extend(datagram);
    let bits = |count: u32| count.is_power_of_two().then(|| count.saturating_sub(1));
    let interval = 1_000_000_000_u64
        .checked_div(questions.rate.into())
        .unwrap_or_default();
    Some(Order {
        interval,
        slack: interval.saturating_mul(SLACK),
        begin: 0,
        due: 0,
        sent: 0,
        header_sum: sum(whole.get(14..34)?),
        datagram_sum: sum(&summed),
        source: questions.source.to_bits(),
        source_mask: bits(questions.addresses)?,
        port: questions.port.into(),
        port_mask: bits(questions.ports.into())?,
        length: u32::try_from(whole.len()).ok()?,
        padding: 0,
        frame,
    })
}

/// The sum of 16-bit words in one's complement, not folded, the last one filled with zero (RFC 1071).
fn sum(octets: &[u8]) -> u32 {
    octets.chunks(2).fold(0, |sum, word| {
        let word = match word {
            [first, second] => [*first, *second],
            [last, ..] => [*last, 0],
            [] => [0; 2],
        };
        sum.saturating_add(u16::from_ne_bytes(word).into())
    })
}

/// Runs a program on many copies of a frame, which leave through the interface of this index where it sends them
/// (`BPF_F_TEST_XDP_LIVE_FRAMES`). They are as it left them the first time, unless it has written all of them.
fn test_run_live(
    program: &mut Xdp,
    frame: &[u8],
    interface: u32,
    times: u32,
) -> Result<(), OsError> {
    let context = context(frame, interface);
    let options = TestRunOptions {
        data_in: Some(frame),
        ctx_in: Some(&context),
        repeat: times,
        attrs: TestRunAttrs::new().xdp_live_frames(0),
        ..TestRunOptions::new()
    };
    program.test_run(options).map(drop).map_err(program_failed)
}

/// `struct xdp_md` (include/uapi/linux/bpf.h) of a frame that arrives by the interface of this index.
fn context(frame: &[u8], interface: u32) -> [u8; 24] {
    let end = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    let fields = [0, end, 0, interface, 0, 0].map(u32::to_ne_bytes);
    let mut context = [0; 24];
    for (octets, field) in context.iter_mut().zip(fields.as_flattened()) {
        *octets = *field;
    }
    context
}

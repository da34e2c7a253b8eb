//! Values of directives: from text to a type without bad values.

use std::fmt;
use std::net::{self, Ipv6Addr};
use std::num::{NonZeroU16, NonZeroU32};
use std::ops::RangeInclusive;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use platform::EchoPath;
use serde::{Deserialize, Serialize};

use super::directive::Directive;
use crate::limit::RateLimit;
use crate::wire::address::ServicePrefix;

/// Why a text is not a valid value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The word of the value that has the fault, from 0.
    pub word: usize,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            message,
            help: None,
            word: 0,
        }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        let help = Some(help.into());
        Self { help, ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

/// Reads the Teredo service prefix: an address with an optional `/32`. The second part of the
/// result says whether bits past the prefix were set, and dropped.
pub(super) fn prefix(text: &str) -> Result<(ServicePrefix, bool), Fault> {
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    let address: Ipv6Addr = address.parse().map_err(|_| {
        Fault::new(format!("{} is not an IPv6 prefix", clip(text)))
            .help("write an IPv6 address, such as 2001:0000::")
    })?;
    if length != "32" {
        return Err(
            Fault::new(format!("the prefix length /{} is not 32", clip(length)))
                .help("a Teredo prefix has 32 bits (RFC 4380 section 4); /32 may be left out"),
        );
    }
    let [high, _, rest @ ..] = address.segments();
    if high & 0xe000 != 0x2000 || high == 0x2002 {
        return Err(Fault::new(format!("{text} is not a global unicast prefix"))
            .help("a Teredo prefix lies inside 2000::/3 and outside 2002::/16 (6to4)"));
    }
    Ok((
        ServicePrefix::of(address),
        rest.iter().any(|&segment| segment != 0),
    ))
}

/// Reads the Teredo service prefix as `Prefix` does, for a command line: there, bits past it are a fault.
///
/// # Errors
/// It is no such prefix, or has further bits.
pub fn service_prefix(text: &str) -> Result<ServicePrefix, Fault> {
    match prefix(text)? {
        (prefix, false) => Ok(prefix),
        (_, true) => Err(Fault::new(format!("{} has more than 32 bits", clip(text)))
            .help("a Teredo prefix has 32 bits (RFC 4380 section 4)")),
    }
}

/// How many threads serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Workers {
    /// As many as suit the machine, up to [`Workers::MOST`].
    Auto,
    /// Exactly this many, up to [`Workers::MOST`].
    Count(NonZeroU16),
}

impl Workers {
    /// Most threads of a server, also of one that chooses by itself.
    pub const MOST: NonZeroU16 = NonZeroU16::MIN.saturating_add(63);
}

impl FromStr for Workers {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        let range = 1..=u64::from(Self::MOST.get());
        let count =
            ranged(Directive::Workers, text, range, "").map_err(|fault| match number(text) {
                Some(_) => fault,
                None => fault.help("auto leaves the number to the server"),
            })?;
        Ok(u16::try_from(count)
            .ok()
            .and_then(NonZeroU16::new)
            .map_or(Self::Auto, Self::Count))
    }
}

/// How much may wait in each socket until a thread reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceiveBuffer {
    /// As the server chooses, or as much of that as the system grants.
    Auto,
    /// This many bytes, from [`ReceiveBuffer::LEAST`] to [`ReceiveBuffer::MOST`].
    Bytes(u32),
}

impl ReceiveBuffer {
    /// Fewer bytes than a dozen datagrams of any system.
    const LEAST: u32 = 1 << 12;
    /// Far more than helps, and less than Linux can still double (`__sock_set_rcvbuf`, net/core/sock.c).
    const MOST: u32 = 1 << 28;
}

impl FromStr for ReceiveBuffer {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        let (digits, unit) = match text.char_indices().next_back() {
            Some((end, 'k' | 'K')) => (text.get(..end), 1 << 10),
            Some((end, 'm' | 'M')) => (text.get(..end), 1 << 20),
            _ => (Some(text), 1),
        };
        let value = digits.and_then(number);
        let value = value.map(|value| value.saturating_mul(unit));
        let range = Self::LEAST.into()..=Self::MOST.into();
        let bytes = within(Directive::ReceiveBuffer, text, value, range, "").map_err(|fault| {
            match value {
                Some(_) => fault,
                None => fault.help(
                    "a number of bytes; K after it means 1024, M 1048576; auto leaves it to the server",
                ),
            }
        })?;
        Ok(u32::try_from(bytes).map_or(Self::Auto, Self::Bytes))
    }
}

/// Reads `PACKETS_PER_SECOND [BURST]`; a rate of 0 is no limit, a missing burst is as large as the
/// rate.
pub(super) fn rate_limit(text: &str) -> Result<Option<RateLimit>, Fault> {
    let (rate, burst) = text.split_once(' ').unwrap_or((text, text));
    let most = u64::from(u32::MAX);
    let rate = ranged(Directive::RateLimit, rate, 0..=most, "")?;
    let burst = match text.contains(' ') {
        true => ranged(
            Directive::RateLimit,
            burst,
            1..=most,
            ", the smallest burst",
        )
        .map_err(|fault| Fault { word: 1, ..fault })?,
        false => rate,
    };
    let limit = |value: u64| u32::try_from(value).ok().and_then(NonZeroU32::new);
    Ok(limit(rate)
        .zip(limit(burst))
        .map(|(packets_per_second, burst)| RateLimit {
            packets_per_second,
            burst,
        }))
}

/// The form of [`EchoPath`] in a message: the platform crate does not depend on serde.
#[derive(Serialize, Deserialize)]
#[serde(remote = "EchoPath")]
pub(super) enum SerdeEchoPath {
    Native,
    Tunnel,
}

/// Reads how echo requests leave for native IPv6.
pub(super) fn echo_path(text: &str) -> Result<EchoPath, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "auto" => Ok(EchoPath::Native),
        "tunnel" => Ok(EchoPath::Tunnel),
        _ => Err(Fault::new(format!(
            "{} is neither auto nor tunnel",
            clip(text)
        ))),
    }
}

/// Where the server tells what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatisticsSocket {
    /// At the path of the process ID file, with `.sock` in place of `.pid`, or behind another name.
    BesidePidFile,
    /// Nowhere.
    Off,
    /// At this absolute path.
    At(PathBuf),
}

impl StatisticsSocket {
    /// The path for a server with this process ID file, if it has one.
    #[must_use]
    pub fn path(&self, pid_file: Option<&Path>) -> Option<PathBuf> {
        match self {
            Self::Off => None,
            Self::At(path) => Some(path.clone()),
            Self::BesidePidFile => pid_file.map(|file| {
                if file.extension().is_some_and(|extension| extension == "pid") {
                    return file.with_extension("sock");
                }
                let mut path = file.as_os_str().to_owned();
                path.push(".sock");
                path.into()
            }),
        }
    }
}

impl FromStr for StatisticsSocket {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        let path = Path::new(text);
        if !path.is_absolute() {
            let message = format!("{} is neither off nor an absolute path", clip(text));
            return Err(
                Fault::new(message).help("write a path such as /var/run/miredo-server.sock")
            );
        }
        match SocketAddr::from_pathname(path) {
            Ok(_) => Ok(Self::At(path.to_owned())),
            Err(_) => Err(Fault::new(format!(
                "a path of {} octets is too long for a socket",
                text.len()
            ))
            .help("unix(7) and unix(4) have the limit: about a hundred")),
        }
    }
}

/// Reads where metrics are served: an address with a port, or off.
pub(super) fn metrics_address(text: &str) -> Result<Option<net::SocketAddr>, Fault> {
    const EXAMPLE: &str = "write an address and a port, such as 127.0.0.1:9544 or [::1]:9544";
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let address: net::SocketAddr = text.parse().map_err(|_| {
        let message = format!("{} is neither off nor an address with a port", clip(text));
        Fault::new(message).help(EXAMPLE)
    })?;
    match address.port() {
        0 => Err(Fault::new(format!("{text} has no port")).help(EXAMPLE)),
        _ => Ok(Some(address)),
    }
}

/// Whether clients may prove who they are, or must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecureQualification {
    Off,
    Optional,
    Required,
}

impl FromStr for SecureQualification {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text.to_ascii_lowercase().as_str() {
            "off" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            _ => Err(Fault::new(format!(
                "{} is none of off, optional and required",
                clip(text)
            ))),
        }
    }
}

/// Reads the MTU that clients are told, in bytes: no more than a UDP datagram over IPv4 carries (RFC 4380 section 5.1.2).
pub(super) fn mtu(text: &str) -> Result<u16, Fault> {
    let why = ", the smallest IPv6 MTU (RFC 8200 section 5)";
    let mtu = ranged(Directive::InterfaceMtu, text, 1280..=65507, why)?;
    Ok(u16::try_from(mtu).unwrap_or(u16::MAX))
}

/// Reads a number within bounds; `why` says where the lower bound comes from.
fn ranged(
    directive: Directive,
    text: &str,
    range: RangeInclusive<u64>,
    why: &str,
) -> Result<u64, Fault> {
    within(directive, text, number(text), range, why)
}

/// Checks the value of `text`, which is `None` if it is no number.
fn within(
    directive: Directive,
    text: &str,
    value: Option<u64>,
    range: RangeInclusive<u64>,
    why: &str,
) -> Result<u64, Fault> {
    let (low, high) = (range.start(), range.end());
    let Some(value) = value else {
        let message = format!(
            "{directive} {} is not a number from {low} to {high}",
            clip(text)
        );
        return Err(Fault::new(message)
            .help("a number is decimal (1280), hexadecimal (0x500) or octal (02400)"));
    };
    let shown = match text.len() > 1 && text.starts_with('0') && value < u64::MAX {
        true => format!("{} ({value} in decimal)", clip(text)),
        false => clip(text),
    };
    if value < *low {
        return Err(Fault::new(format!(
            "{directive} {shown} is below {low}{why}"
        )));
    }
    if value > *high {
        return Err(Fault::new(format!("{directive} {shown} is above {high}")));
    }
    Ok(value)
}

/// Reads a number as strtoul(3) does with base 0: decimal, `0x` or octal after a `0`.
/// A number of more than 64 bits becomes the largest of 64 bits.
fn number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', _, ..] => (8, digits),
        _ => (10, digits),
    };
    let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    valid.then(|| u64::from_str_radix(digits, radix).unwrap_or(u64::MAX))
}

/// A text from the file, cut to a length that suits a message.
pub(super) fn clip(text: &str) -> String {
    match text.char_indices().nth(63) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

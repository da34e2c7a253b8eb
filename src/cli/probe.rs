//! The options of teredo-probe(1): here, where what is written from them can read them.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueHint};

use crate::conf::{Fault, Host, KeyFile, Secondary, service_prefix};
use crate::qualification::Credentials;
use crate::wire::address::{ServicePrefix, TeredoAddress};

/// Tell whether a Teredo server works, and what NAT is on the way to it
#[derive(Clone, Debug, Parser)]
#[command(name = "teredo-probe", version, long_about = None)]
#[command(group = ArgGroup::new("output").args(["verbose", "json", "monitor", "prometheus"]))]
#[command(group = ArgGroup::new("mode").args(["native", "listen", "ping", "monitor", "prometheus"]))]
#[command(group = ArgGroup::new("again").args(["interval", "ping"]).multiple(true))]
pub struct Options {
    /// Show the packets, decoded
    #[arg(short, long)]
    pub verbose: bool,

    /// Print a JSON object a line
    #[arg(long)]
    pub json: bool,

    /// Print one line and exit as a plugin of Nagios or Icinga does
    #[arg(long, conflicts_with_all = ["interval", "count"])]
    pub monitor: bool,

    /// With --monitor: warn when the answer takes longer
    #[arg(short, long, value_name = "MILLISECONDS", requires = "monitor")]
    #[arg(value_hint = ValueHint::Other)]
    pub warning: Option<u32>,

    /// With --monitor: critical when the answer takes longer
    #[arg(short, long, value_name = "MILLISECONDS", requires = "monitor")]
    #[arg(value_hint = ValueHint::Other)]
    pub critical: Option<u32>,

    /// Write metrics for node_exporter's textfile collector, into FILE if given
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(value_hint = ValueHint::FilePath)]
    pub prometheus: Option<Option<PathBuf>>,

    /// Wait no longer than SECONDS for the answers
    #[arg(short, long, value_name = "SECONDS", default_value = "5", value_parser = timeout)]
    #[arg(value_hint = ValueHint::Other)]
    pub timeout: Duration,

    /// Ask again every SECONDS; with --ping, where it is 1 without
    #[arg(short, long, value_name = "SECONDS", value_parser = interval)]
    #[arg(conflicts_with_all = ["native", "listen"])]
    #[arg(value_hint = ValueHint::Other)]
    pub interval: Option<Duration>,

    /// With --interval or --ping: end after COUNT rounds or echo requests
    #[arg(short = 'n', long, value_name = "COUNT", requires = "again")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..), value_hint = ValueHint::Other)]
    pub count: Option<u64>,

    /// Send from ADDRESS
    #[arg(short, long, value_name = "ADDRESS", value_hint = ValueHint::Other)]
    pub source: Option<Ipv4Addr>,

    /// Use PORT as the service port
    #[arg(short, long, value_name = "PORT", value_hint = ValueHint::Other)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,

    /// The server has no secondary address
    #[arg(short = '1', long)]
    pub one_address: bool,

    /// The service's prefix, 32 bits long
    #[arg(long, value_name = "PREFIX", default_value = "2001::", value_parser = service_prefix)]
    #[arg(value_hint = ValueHint::Other)]
    pub expect_prefix: ServicePrefix,

    /// Prove who this client is with the key in FILE, and have the server prove itself
    #[arg(long, value_name = "FILE", value_parser = credentials, value_hint = ValueHint::FilePath)]
    pub key: Option<Credentials>,

    /// Test the way to a native IPv6 address
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::Other)]
    pub native: Option<Ipv6Addr>,

    /// Be a Teredo client that answers echo requests
    #[arg(long)]
    pub listen: bool,

    /// Be a Teredo client that sends echo requests to ADDRESS
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::Other)]
    pub ping: Option<Ipv6Addr>,

    /// Addresses of a server, or names that have them
    #[arg(value_name = "SERVER[,SECONDARY]", value_hint = ValueHint::Hostname)]
    #[arg(required_unless_present = "ping")]
    pub servers: Vec<Server>,
}

impl Options {
    /// Whom to ask: who is named, or the server of who is to be pinged.
    #[must_use]
    pub fn servers(&self) -> Vec<Server> {
        let peer = self.ping.filter(|_| self.servers.is_empty());
        let peer = peer.and_then(|peer| TeredoAddress::parse(self.expect_prefix, peer));
        let of_peer = peer.map(|peer| Server {
            primary: Host::Address(peer.server),
            secondary: Secondary::Next,
        });
        self.servers.iter().cloned().chain(of_peer).collect()
    }
}

/// A server on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The primary address or a name that has it.
    pub primary: Host,
    /// The other one.
    pub secondary: Secondary<Host>,
}

impl FromStr for Server {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let (primary, secondary) = match text.split_once(',') {
            Some((_, more)) if more.contains(',') => {
                return Err(Fault::new("a server has at most two addresses")
                    .help("write a space between two servers"));
            }
            Some((primary, secondary)) => (primary, secondary.parse()?),
            None => (text, Secondary::Next),
        };
        Ok(Self {
            primary: primary.parse()?,
            secondary,
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.primary.fmt(f)
    }
}

/// The one client in a file as that of the server's keys.
fn credentials(path: &str) -> Result<Credentials, String> {
    let file = KeyFile::read(Path::new(path)).map_err(|fault| fault.to_string())?;
    if let Some(fault) = file.diagnostics.first() {
        return Err(fault.headline().to_string());
    }
    match &*file.keys {
        [key] => Credentials::new(key).ok_or_else(|| "not a key".to_owned()),
        keys => Err(format!("the keys of {} clients, not of one", keys.len())),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    seconds(text, 0.01)
}

fn interval(text: &str) -> Result<Duration, String> {
    seconds(text, 0.2)
}

/// A number of seconds, with a fraction or not, of a day at most.
fn seconds(text: &str, least: f64) -> Result<Duration, String> {
    const MOST: f64 = 86_400.0;
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if !(least..=MOST).contains(&number) {
        return Err(format!("not from {least} to {MOST} seconds"));
    }
    Ok(Duration::from_secs_f64(number))
}

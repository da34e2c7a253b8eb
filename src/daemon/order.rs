//! The worker's command line: what the monitor tells it.
//!
//! Visible in ps(1), checked by the same parser as every other command line, and not for people to type.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;

use super::plan::Plan;
use crate::limit::RateLimit;
use crate::logging::Target;

/// The first argument of a worker.
pub const WORKER: &str = "--worker";

/// One pair of inherited sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairNumbers {
    /// Descriptor bound to the primary address.
    pub primary: RawFd,
    /// Descriptor bound to the secondary address, unless in one-address mode.
    pub secondary: Option<RawFd>,
}

/// Everything that a worker needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "miredo-server: worker", disable_help_flag = true)]
pub struct Order {
    /// Marks a worker.
    #[arg(long, required = true)]
    worker: bool,
    /// Socket to the monitor.
    #[arg(long)]
    pub control: RawFd,
    /// Sockets to serve, a pair a thread.
    #[arg(long, required = true)]
    pub udp: Vec<PairNumbers>,
    /// Socket to the native IPv6 Internet.
    #[arg(long)]
    pub raw: Option<RawFd>,
    /// Primary address.
    #[arg(long)]
    pub primary: Ipv4Addr,
    /// Secondary address.
    #[arg(long)]
    pub secondary: Option<Ipv4Addr>,
    /// Teredo service prefix.
    #[arg(long)]
    pub prefix: Ipv6Addr,
    /// Link MTU to advertise, in bytes.
    #[arg(long)]
    pub mtu: u16,
    /// Accept private and loopback addresses.
    #[arg(long)]
    pub allow_private: bool,
    /// Packets a second of one source, and burst.
    #[arg(long, value_parser = rate_limit)]
    pub rate_limit: Option<RateLimit>,
    /// User and group to become; absent where the monitor has no root to give up.
    #[arg(long, value_parser = owner)]
    pub owner: Option<(u32, u32)>,
    /// Directory to be confined in; a private one where absent.
    #[arg(long)]
    pub root: Option<PathBuf>,
    /// Where to log.
    #[arg(long)]
    pub log: Target,
}

impl Order {
    /// What a worker of this plan is told; the descriptors are put in when it starts.
    pub fn new(plan: &Plan, owner: Option<(u32, u32)>, root: Option<PathBuf>, log: Target) -> Self {
        Self {
            worker: true,
            control: -1,
            udp: Vec::new(),
            raw: None,
            primary: plan.addresses.primary,
            secondary: plan.addresses.secondary,
            prefix: plan
                .service
                .policy
                .prefix
                .client_prefix(Ipv4Addr::UNSPECIFIED),
            mtu: plan.service.policy.mtu,
            allow_private: plan.service.policy.allow_private,
            rate_limit: plan.service.policy.rate_limit,
            owner,
            root,
            log,
        }
    }

    /// The arguments that [`Order::from_arguments`] reads back.
    pub fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec![WORKER.into()];
        let mut put = |name: &str, value: OsString| {
            let mut argument = OsString::from(format!("--{name}="));
            argument.push(value);
            arguments.push(argument);
        };
        put("control", self.control.to_string().into());
        for pair in &self.udp {
            put("udp", pair.to_string().into());
        }
        put("primary", self.primary.to_string().into());
        put("prefix", self.prefix.to_string().into());
        put("mtu", self.mtu.to_string().into());
        put("log", self.log.to_string().into());
        if let Some(raw) = self.raw {
            put("raw", raw.to_string().into());
        }
        if let Some(secondary) = self.secondary {
            put("secondary", secondary.to_string().into());
        }
        if let Some(limit) = self.rate_limit {
            put(
                "rate-limit",
                format!("{}/{}", limit.packets_per_second, limit.burst).into(),
            );
        }
        if let Some((uid, gid)) = self.owner {
            put("owner", format!("{uid}:{gid}").into());
        }
        if let Some(root) = &self.root {
            put("root", root.clone().into());
        }
        if self.allow_private {
            arguments.push("--allow-private".into());
        }
        arguments
    }

    /// The order in this process's arguments, if it was started as a worker.
    ///
    /// Ends the process with exit code 2 when somebody typed `--worker` and got the rest wrong.
    pub fn from_arguments(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut arguments = arguments.peekable();
        let program = arguments.next()?;
        if arguments.peek()? != WORKER {
            return None;
        }
        Some(Self::parse_from(std::iter::once(program).chain(arguments)))
    }
}

impl fmt::Display for PairNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.primary)?;
        match self.secondary {
            Some(secondary) => write!(f, ",{secondary}"),
            None => Ok(()),
        }
    }
}

impl FromStr for PairNumbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (primary, secondary) = match text.split_once(',') {
            Some((primary, secondary)) => (primary, Some(number(secondary)?)),
            None => (text, None),
        };
        Ok(Self {
            primary: number(primary)?,
            secondary,
        })
    }
}

fn rate_limit(text: &str) -> Result<RateLimit, String> {
    let (packets_per_second, burst) = two(text, '/')?;
    Ok(RateLimit {
        packets_per_second,
        burst,
    })
}

fn owner(text: &str) -> Result<(u32, u32), String> {
    two(text, ':')
}

fn two<T: FromStr<Err: fmt::Display>>(text: &str, separator: char) -> Result<(T, T), String> {
    let (first, second) = text
        .split_once(separator)
        .ok_or_else(|| format!("no {separator}"))?;
    Ok((number(first)?, number(second)?))
}

fn number<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    use clap::CommandFactory;

    fn order() -> Order {
        Order {
            worker: true,
            control: 3,
            udp: vec![
                PairNumbers {
                    primary: 4,
                    secondary: Some(5),
                },
                PairNumbers {
                    primary: 6,
                    secondary: None,
                },
            ],
            raw: Some(7),
            primary: Ipv4Addr::new(192, 0, 2, 1),
            secondary: Some(Ipv4Addr::new(192, 0, 2, 2)),
            prefix: Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),
            mtu: 1280,
            allow_private: true,
            rate_limit: Some(RateLimit {
                packets_per_second: NonZeroU32::MIN,
                burst: NonZeroU32::MAX,
            }),
            owner: Some((65534, 65533)),
            root: Some("/var/empty with space".into()),
            log: Target::Stderr,
        }
    }

    fn through_arguments(order: &Order) -> Option<Order> {
        let program = std::iter::once("miredo-server".into());
        Order::from_arguments(program.chain(order.to_arguments()))
    }

    #[test]
    fn the_parser_is_sound() {
        Order::command().debug_assert();
    }

    #[test]
    fn survives_the_way_through_arguments() {
        let full = order();
        assert_eq!(through_arguments(&full), Some(full));
        let bare = Order {
            raw: None,
            secondary: None,
            allow_private: false,
            rate_limit: None,
            owner: None,
            root: None,
            ..order()
        };
        assert_eq!(through_arguments(&bare), Some(bare));
    }

    #[test]
    fn other_command_lines_are_no_orders() {
        for words in [
            vec![],
            vec!["miredo-server"],
            vec!["miredo-server", "-f", WORKER],
        ] {
            assert_eq!(
                Order::from_arguments(words.into_iter().map(OsString::from)),
                None
            );
        }
    }
}

//! What to serve: options and configuration, with names looked up.

use std::fmt;
use std::io::ErrorKind;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use log::warn;
use platform::HostAddresses;
use serde::{Deserialize, Serialize};

use super::Fault;
use crate::cli::Options;
use crate::conf::{
    Accelerate, Address, Addresses, Config, Diagnostic, Parsed, Secondary, Service, Unresolved,
    Workers,
};
use crate::server::Settings;
use crate::wire::TEREDO_PORT;

/// Everything that is decided before the first socket is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The addresses to bind, and what clients know them as.
    pub addresses: Addresses,
    /// What the other directives say.
    pub service: Service,
    /// How many threads the worker has. Each has its own sockets.
    pub threads: NonZeroUsize,
    /// A trial on one machine (`--local`): no path to native IPv6.
    pub local: bool,
}

impl Plan {
    /// What a configuration comes to, with its names looked up. Every fault goes to `report`.
    ///
    /// # Errors
    /// The configuration has errors, or a name has no address.
    pub fn resolve(
        options: &Options,
        parsed: Parsed,
        report: &mut dyn FnMut(&Diagnostic),
    ) -> Result<Self, Fault> {
        let addresses = parsed.hosts.resolve(report);
        let (config, addresses) = match (parsed.config, addresses) {
            (Some(config), Ok(addresses)) => (config, addresses),
            (Some(_), Err(Unresolved::NotFound)) => {
                return Err(Fault::new("a name in the configuration has no address now"));
            }
            _ => return Err(Fault::of_configuration("the configuration has errors")),
        };
        Ok(Self {
            addresses: Addresses {
                secondary: secondary(options, &config, addresses),
                ..addresses
            },
            threads: threads(
                config.service.workers,
                available_parallelism().unwrap_or(NonZeroUsize::MIN),
            ),
            service: config.service,
            local: options.local,
        })
    }
}

impl Plan {
    /// What the server is told on a host with these addresses. Clients know the public addresses. What comes from those that are
    /// bound, or is for them, is of this host as well.
    pub(super) fn settings(&self, host: &HostAddresses) -> Settings {
        let Addresses { primary, secondary } = self.addresses;
        let bound = iter::once(primary).chain(secondary);
        let bound = bound.map(|address| IpAddr::from(address.bound));
        Settings {
            primary: primary.public,
            secondary: secondary.map(|address| address.public),
            own: host.own.iter().copied().chain(bound).collect(),
            broadcasts: host.broadcasts.clone(),
            policy: self.service.policy.clone(),
        }
    }

    /// Whether programs in the network driver are asked for. A trial has none.
    #[must_use]
    pub fn accelerates(&self) -> bool {
        !self.local && self.service.accelerate != Accelerate::Off
    }

    /// The first address of the plan that this host does not have.
    pub(super) fn missing_address(&self) -> Option<Ipv4Addr> {
        let Addresses { primary, secondary } = self.addresses;
        let mut bound = iter::once(primary)
            .chain(secondary)
            .map(|address| address.bound);
        bound.find(|address| !is_assigned(*address))
    }
}

/// Whether this host has an address. Any free port shows it; whether port 3544 is taken is reported when it is opened.
fn is_assigned(address: Ipv4Addr) -> bool {
    let tried = UdpSocket::bind((address, 0));
    !matches!(tried, Err(error) if error.kind() == ErrorKind::AddrNotAvailable)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Addresses { primary, secondary } = self.addresses;
        write!(f, "{primary}")?;
        match secondary {
            Some(secondary) => write!(f, " and {secondary}")?,
            None => f.write_str(" in one-address mode")?,
        }
        let prefix = self.service.policy.prefix;
        write!(f, ", UDP port {TEREDO_PORT}, prefix {prefix}")
    }
}

/// The secondary address. A trial does without the next address where this host does not have it: Linux has all of 127/8,
/// other systems only what was configured.
fn secondary(options: &Options, config: &Config, addresses: Addresses) -> Option<Address> {
    let secondary = addresses.secondary?;
    if !options.local || config.secondary != Secondary::Next {
        return Some(secondary);
    }
    let address = secondary.bound;
    if is_assigned(address) {
        return Some(secondary);
    }
    warn!(
        "{address} is no address of this host: cone solicitations stay unanswered; \
         to have it, add it to the loopback interface, as with \"ifconfig lo0 alias {address}\""
    );
    None
}

fn threads(workers: Workers, processors: NonZeroUsize) -> NonZeroUsize {
    match workers {
        Workers::Count(count) => count.into(),
        Workers::Auto => processors.min(Workers::MOST.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::path::Path;

    use clap::Parser;

    use crate::conf::{self, Overrides};

    /// Clients know the public addresses; all four are this host's, whatever addresses it has at the moment.
    #[test]
    fn public_and_bound_addresses_are_own() {
        let text =
            "ServerBindAddress 10.0.0.4\nServerBindAddress2 10.0.0.9\nPublicAddress 192.0.2.1\n";
        let parsed = conf::parse(Path::new("test.conf"), text, Overrides::default());
        let options = Options::parse_from(["miredo-server"]);
        let plan = Plan::resolve(&options, parsed, &mut |fault| panic!("{fault}")).unwrap();
        let [primary, secondary] = [1, 2].map(|last| Ipv4Addr::new(192, 0, 2, last));
        let host = HostAddresses {
            own: vec![Ipv4Addr::new(198, 51, 100, 99).into()],
            ..HostAddresses::default()
        };
        let settings = plan.settings(&host);
        assert_eq!(settings.primary, primary);
        assert_eq!(settings.secondary, Some(secondary));
        let bound = [[198, 51, 100, 99], [10, 0, 0, 4], [10, 0, 0, 9]];
        assert_eq!(settings.own, bound.map(IpAddr::from));
    }

    /// A reload takes six descriptors a thread, and the usual limit of a process is 1024.
    #[test]
    fn a_large_machine_gets_no_more_threads_than_one_may_ask_for() {
        for (processors, expected) in [(1, 1), (64, 64), (384, 64)] {
            let processors = NonZeroUsize::new(processors).unwrap();
            assert_eq!(threads(Workers::Auto, processors).get(), expected);
        }
    }
}

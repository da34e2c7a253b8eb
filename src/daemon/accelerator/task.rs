//! At which interfaces programs are to be attached, and by which rules.

use std::net::Ipv4Addr;

use platform::accelerator::Rules;
use platform::{Assigned, HostAddresses};
use serde::{Deserialize, Serialize};

use crate::acceleration;
use crate::conf::Accelerate;
use crate::daemon::Fault;
use crate::daemon::plan::Plan;
use crate::server::Settings;

/// What an accelerator is to do. Where two are the same, so are the programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Where, from 1 to [`Accelerate::MOST`].
    pub interfaces: Vec<Interface>,
    /// The primary address, as it is bound.
    pub primary: Ipv4Addr,
    /// The secondary address, as it is bound.
    pub secondary: Option<Ipv4Addr>,
    /// Those of the server, without what a program has no use for: keys, IPv6 addresses.
    pub settings: Settings,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// It has both addresses of the server.
    pub cone: bool,
}

impl Task {
    /// What a plan asks for on a host with these addresses; `None` if nothing.
    ///
    /// # Errors
    /// It is not clear which interfaces `auto` means.
    pub fn of(plan: &Plan, host: &HostAddresses) -> Result<Option<Self>, Fault> {
        let primary = plan.addresses.primary.bound;
        let secondary = plan.addresses.secondary.map(|address| address.bound);
        let names = match &plan.service.accelerate {
            Accelerate::Off => return Ok(None),
            Accelerate::Auto => {
                let bound = [Some(primary), secondary];
                carriers(bound.into_iter().flatten(), &host.assigned)?
            }
            Accelerate::Interfaces(names) => names.clone(),
        };
        let has = |interface: &str, address: Ipv4Addr| {
            let mut assigned = host.assigned.iter();
            assigned.any(|assigned| assigned.address == address && assigned.interface == interface)
        };
        let interface = |name: String| Interface {
            cone: has(&name, primary) && secondary.is_some_and(|address| has(&name, address)),
            name,
        };
        let mut settings = plan.settings(host);
        settings.own.retain(std::net::IpAddr::is_ipv4);
        if let Some(qualification) = &mut settings.policy.qualification {
            qualification.keys.clear();
        }
        Ok(Some(Self {
            interfaces: names.into_iter().map(interface).collect(),
            primary,
            secondary,
            settings,
        }))
    }

    /// What the program of one interface is told.
    pub fn rules(&self, interface: &Interface) -> Rules {
        let bound = (self.primary, self.secondary);
        acceleration::rules(&self.settings, bound, interface.cone)
    }
}

/// The interfaces that have the addresses, each once.
fn carriers(
    bound: impl Iterator<Item = Ipv4Addr>,
    assigned: &[Assigned],
) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    let mut unclear = Vec::new();
    for address in bound {
        let carriers = assigned
            .iter()
            .filter(|assigned| assigned.address == address);
        let carriers: Vec<&Assigned> = carriers.collect();
        match carriers.as_slice() {
            [one] if !one.loopback => {
                if !names.contains(&one.interface) {
                    names.push(one.interface.clone());
                }
            }
            [] => unclear.push(format!("{address} is on no interface")),
            several => {
                let names = several.iter().map(|assigned| assigned.interface.as_str());
                let names: Vec<_> = names.collect();
                unclear.push(format!("{address} is on {}", names.join(" and ")));
            }
        }
    }
    match unclear.is_empty() {
        true => Ok(names),
        false => Err(Fault::new(format!(
            "it is not clear by which interfaces datagrams arrive: {}; name the interfaces in place of auto",
            unclear.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::path::Path;

    use clap::Parser;

    use crate::cli::Options;
    use crate::conf::{self, Overrides};

    const PRIMARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const SECONDARY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    fn plan(accelerate: &str) -> Plan {
        let text = format!("ServerBindAddress {PRIMARY}\nAccelerate {accelerate}\n");
        let parsed = conf::parse(Path::new("test.conf"), &text, Overrides::default());
        let options = Options::parse_from(["miredo-server"]);
        Plan::resolve(&options, parsed, &mut |fault| panic!("{fault}")).unwrap()
    }

    fn host(assigned: &[(Ipv4Addr, &str)]) -> HostAddresses {
        let own = assigned.iter().map(|(address, _)| (*address).into());
        let own = own.chain(["2001:db8::1".parse().unwrap()]);
        let assigned = assigned.iter().map(|(address, interface)| Assigned {
            address: *address,
            interface: (*interface).to_owned(),
            loopback: *interface == "lo",
        });
        HostAddresses {
            own: own.collect(),
            assigned: assigned.collect(),
            ..HostAddresses::default()
        }
    }

    fn interfaces(accelerate: &str, assigned: &[(Ipv4Addr, &str)]) -> Vec<(String, bool)> {
        let task = Task::of(&plan(accelerate), &host(assigned));
        let interfaces = task.unwrap().unwrap().interfaces.into_iter();
        interfaces
            .map(|interface| (interface.name, interface.cone))
            .collect()
    }

    #[test]
    fn auto_means_the_interfaces_that_have_the_addresses() {
        let both = [(PRIMARY, "eth1"), (SECONDARY, "eth1")];
        assert_eq!(interfaces("auto", &both), [("eth1".to_owned(), true)]);
        let apart = [(PRIMARY, "eth1"), (SECONDARY, "eth0")];
        let expected = ["eth1", "eth0"].map(|name| (name.to_owned(), false));
        assert_eq!(interfaces("auto", &apart), expected);
    }

    #[test]
    fn where_auto_is_unclear_every_such_address_is_named() {
        for (assigned, words) in [
            (
                &[(PRIMARY, "eth0")][..],
                "arrive: 192.0.2.2 is on no interface; name the interfaces",
            ),
            (
                &[(PRIMARY, "lo"), (SECONDARY, "eth0")],
                "arrive: 192.0.2.1 is on lo; name the interfaces",
            ),
            (
                &[(PRIMARY, "eth0"), (PRIMARY, "eth1")],
                "arrive: 192.0.2.1 is on eth0 and eth1, 192.0.2.2 is on no interface; name the interfaces",
            ),
        ] {
            let fault = Task::of(&plan("auto"), &host(assigned)).unwrap_err();
            assert!(fault.to_string().contains(words), "{fault}");
        }
    }

    /// An anycast address may be one of lo.
    #[test]
    fn interfaces_with_names_need_no_address() {
        let assigned = [(PRIMARY, "lo"), (SECONDARY, "eth0")];
        let expected = ["eth1", "eth0"].map(|name| (name.to_owned(), false));
        assert_eq!(interfaces("eth1 eth0", &assigned), expected);
        let both = [(PRIMARY, "eth0"), (SECONDARY, "eth0")];
        let expected = [("eth1".to_owned(), false), ("eth0".to_owned(), true)];
        assert_eq!(interfaces("eth1 eth0", &both), expected);
        assert_eq!(Task::of(&plan("off"), &host(&both)), Ok(None));
    }

    #[test]
    fn what_the_program_does_not_need_is_not_told() {
        use crate::qualification::{ClientKey, Octets, Qualification};
        let mut plan = plan("eth0");
        plan.service.policy.qualification = Some(Qualification {
            required: true,
            keys: vec![ClientKey {
                identifier: Octets::new(vec![1]),
                secret: Octets::new(vec![2; 16]),
                retired: false,
            }],
        });
        let task = Task::of(&plan, &host(&[])).unwrap().unwrap();
        let text = serde_json::to_string(&task).unwrap();
        assert!(text.contains("\"keys\":[]"), "{text}");
        assert!(!text.contains("2001:db8"), "{text}");
        let rules = task.rules(&task.interfaces[0]);
        assert_eq!(rules.advertisement, None);
        assert_eq!(rules.own, [PRIMARY, SECONDARY]);
        let read: Task = serde_json::from_str(&text).unwrap();
        assert_eq!(read, task);
    }
}

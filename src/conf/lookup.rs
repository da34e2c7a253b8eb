//! The hosts of a configuration, looked up, with the faults that only then appear.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::addresses::{Addresses, Written};
use super::diagnostic::{Diagnostic, Position, Severity};
use super::directive::Directive;
use super::host::Host;
use super::value::Fault;

/// Where a directive gets its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) at: Option<Position>,
}

impl Place {
    pub(super) fn diagnostic(&self, severity: Severity, fault: Fault) -> Diagnostic {
        Diagnostic {
            severity,
            path: self.path.clone(),
            at: self.at.clone(),
            message: fault.message,
            help: fault.help,
        }
    }
}

/// The hosts that the addresses come from, and where they stand. They are known when the rest of the file has errors, so that a run reports all of
/// its faults.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    pub(super) written: Written<(Host, Place)>,
    pub(super) allow_private: bool,
}

/// Why there are no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// Somebody has to change the configuration.
    Faulty,
    /// A name has no IPv4 address now; it may have one later.
    NotFound,
}

impl Hosts {
    /// The addresses to bind; waits for getaddrinfo(3) where a name stands for one. Every fault that was not found when the
    /// file was read goes to `report`.
    ///
    /// # Errors
    /// There is a fault.
    pub fn resolve(&self, report: &mut dyn FnMut(&Diagnostic)) -> Result<Addresses, Unresolved> {
        let mut found = true;
        let known = self.written.and_then(|_, (host, place)| {
            let address = look_up(host, place, report);
            found &= address.is_some();
            address
        });
        let faulty = self.report_faults(&known, report);
        match known.addresses() {
            _ if faulty => Err(Unresolved::Faulty),
            _ if !found => Err(Unresolved::NotFound),
            addresses => addresses.ok_or(Unresolved::Faulty),
        }
    }

    /// Checks the addresses. Those that are written as such were reported before.
    fn report_faults(
        &self,
        known: &Written<Ipv4Addr>,
        report: &mut dyn FnMut(&Diagnostic),
    ) -> bool {
        let before = self.faults_as_written();
        let faults = known.faults(self.allow_private);
        for fault in &faults {
            let (directive, what) = fault;
            if let Some((_, place)) = self.written.host(*directive)
                && !before.contains(fault)
            {
                report(&place.diagnostic(Severity::Error, what.clone()));
            }
        }
        !faults.is_empty()
    }

    /// The faults of those addresses that are not names.
    pub(super) fn faults_as_written(&self) -> Vec<(Directive, Fault)> {
        let literal = self.written.and_then(|_, (host, _)| match host {
            Host::Address(address) => Some(*address),
            Host::Name(_) => None,
        });
        literal.faults(self.allow_private)
    }
}

/// The address of a host, the first one if a name has several.
fn look_up(host: &Host, place: &Place, report: &mut dyn FnMut(&Diagnostic)) -> Option<Ipv4Addr> {
    let addresses = match host.addresses() {
        Ok(addresses) => addresses,
        Err(fault) => {
            report(&place.diagnostic(Severity::Error, fault));
            return None;
        }
    };
    let first = *addresses.first()?;
    if addresses.len() > 1 {
        let all: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let fault = Fault::new(format!("{host} has the addresses {}", all.join(", "))).help(
            format!("the server takes {first}; write the address, to be sure which it is"),
        );
        report(&place.diagnostic(Severity::Warning, fault));
    }
    Some(first)
}

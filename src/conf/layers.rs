//! Three layers, of which the later counts more: defaults, file, command line; and the values that result.

use std::path::Path;
use std::str::FromStr;

use config::{ConfigError, Value, ValueKind};

use super::addresses::{Public, Secondary, Written};
use super::diagnostic::{Diagnostic, Severity};
use super::directive::{DIRECTIVES, Directive};
use super::faults::Faults;
use super::file::File;
use super::host::Host;
use super::keys::KeyFile;
use super::lookup::{Hosts, Place};
use super::value::{self, Fault, SecureQualification, StatisticsSocket, clip};
use super::{Config, Overrides, Parsed, Service};
use crate::qualification::Qualification;
use crate::server::Policy;
use crate::wire::address::ServicePrefix;

/// Where a value of the command line comes from, for `config`.
const COMMAND_LINE: &str = "command line";

pub(super) fn parse(path: &Path, text: &str, overrides: Overrides<'_>) -> Parsed {
    let mut faults = Faults::default();
    let mut file = File::read(path, text, &mut faults);
    if overrides.server_name.is_some() {
        ignore_further_addresses(&mut file, &mut faults);
    }
    let mut hosts = Hosts::default();
    let config = match merge(&file, overrides) {
        Ok(merged) => Reader {
            merged,
            file: &file,
            faults: &mut faults,
        }
        .config(&mut hosts),
        Err(error) => {
            faults.push(file.fault(Severity::Error, None, error.to_string(), None));
            None
        }
    };
    Parsed {
        config: config.filter(|_| !faults.failed()),
        hosts,
        diagnostics: faults
            .into_diagnostics(|message| file.fault(Severity::Warning, None, message, None)),
    }
}

/// Where the server tells what it does, whatever else the text says.
pub(super) fn statistics(path: &Path, text: &str) -> Result<StatisticsSocket, Vec<Diagnostic>> {
    let mut faults = Faults::default();
    let file = File::read(path, text, &mut Faults::default());
    let read = match merge(&file, Overrides::default()) {
        Ok(merged) => Reader {
            merged,
            file: &file,
            faults: &mut faults,
        }
        .statistics(),
        Err(error) => {
            faults.push(file.fault(Severity::Error, None, error.to_string(), None));
            None
        }
    };
    read.ok_or_else(|| {
        faults.into_diagnostics(|message| file.fault(Severity::Warning, None, message, None))
    })
}

/// Removes all addresses but the primary one: they belong to the server of the file, and the command line names another.
fn ignore_further_addresses(file: &mut File, faults: &mut Faults) {
    for directive in [
        Directive::ServerBindAddress2,
        Directive::PublicAddress,
        Directive::PublicAddress2,
    ] {
        let Some((line, value)) = file
            .line(directive)
            .and_then(|line| Some((line, line.words.first()?)))
        else {
            continue;
        };
        if directive == Directive::ServerBindAddress2
            && value.text.parse() == Ok(Secondary::<Host>::None)
        {
            continue;
        }
        let message = format!("{directive} ignored: the command line names another server");
        let at = Some(line.at(&line.name));
        faults.push(file.fault(Severity::Warning, at, message, None));
        file.remove(directive);
    }
}

/// Puts the layers together.
fn merge(file: &File, overrides: Overrides<'_>) -> Result<config::Config, ConfigError> {
    let mut builder = config::Config::builder();
    for directive in DIRECTIVES {
        if let Some(default) = directive.default_value() {
            builder = builder.set_default(directive.key(), default)?;
        }
    }
    let mut command_line = Vec::new();
    if overrides.local {
        builder = builder.set_default(Directive::ServerBindAddress.key(), "127.0.0.1")?;
        command_line.push((Directive::AllowPrivateAddresses, "yes".to_owned()));
    }
    if let Some(name) = overrides.server_name {
        command_line.push((Directive::ServerBindAddress, name.to_string()));
    }
    builder = builder.add_source(file.clone());
    for (directive, value) in command_line {
        let value = Value::new(Some(&COMMAND_LINE.to_owned()), value);
        builder = builder.set_override(directive.key(), value)?;
    }
    builder.build()
}

/// Reads the merged values, and reports each that is bad.
struct Reader<'a> {
    merged: config::Config,
    file: &'a File,
    faults: &'a mut Faults,
}

impl Reader<'_> {
    /// The configuration. After an error it must not be used, and may be `None`; all errors have been reported then.
    fn config(mut self, hosts: &mut Hosts) -> Option<Config> {
        let allow_private = self.value(Directive::AllowPrivateAddresses, yes_or_no);
        let primary: Option<Host> = self.value(Directive::ServerBindAddress, str::parse);
        let secondary = self.value_or(Directive::ServerBindAddress2, Secondary::Next);
        let public = self.value_or(Directive::PublicAddress, Public::Default);
        let public2 = self.value_or(Directive::PublicAddress2, Public::Default);
        let written = Written {
            primary: primary.clone(),
            secondary: secondary.clone(),
            public: public.clone(),
            public2: public2.clone(),
        };
        *hosts = Hosts {
            written: written
                .and_then(|directive, host| Some((host.clone(), self.place(directive, 0)))),
            allow_private: allow_private.unwrap_or(true),
        };
        for (directive, fault) in hosts.faults_as_written() {
            self.error(directive, fault);
        }
        let qualification = self.qualification()?;
        let statistics = self.statistics();
        let service = Service {
            policy: Policy {
                prefix: self.prefix()?,
                mtu: self.value_or_default(Directive::InterfaceMtu, value::mtu)?,
                allow_private: allow_private.unwrap_or_default(),
                rate_limit: self.value_or_default(Directive::RateLimit, value::rate_limit)?,
                qualification,
            },
            wait_for_address: self.value_or_default(Directive::WaitForAddress, yes_or_no)?,
            facility: self.value_or_default(Directive::SyslogFacility, str::parse)?,
            workers: self.value_or_default(Directive::Workers, str::parse)?,
            receive_buffer: self.value_or_default(Directive::ReceiveBuffer, str::parse)?,
            echo_path: self.value_or_default(Directive::EchoPath, value::echo_path)?,
            statistics: statistics?,
            metrics: self.value_or_default(Directive::MetricsAddress, value::metrics_address)?,
            accelerate: self.value_or_default(Directive::Accelerate, str::parse)?,
        };
        Some(Config {
            primary: primary?,
            secondary: secondary?,
            public: public?,
            public2: public2?,
            service,
        })
    }

    /// The value of a directive; `None` after an error.
    fn value<T>(
        &mut self,
        directive: Directive,
        read: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let Some(text) = self.text(directive) else {
            let fault = Fault::new(format!("no {directive}")).help(format!(
                "write \"{directive}\" and this host's address, or give that on the command line"
            ));
            self.error(directive, fault);
            return None;
        };
        read(&text)
            .map_err(|fault| self.error(directive, fault))
            .ok()
    }

    /// The value of a directive that need not be there; `None` after an error.
    fn value_or<T: FromStr<Err = Fault>>(&mut self, directive: Directive, absent: T) -> Option<T> {
        match self.text(directive) {
            Some(_) => self.value(directive, str::parse),
            None => Some(absent),
        }
    }

    /// The value of a directive that has a default. After an error it is the default, so that the other directives are read, too.
    fn value_or_default<T>(
        &mut self,
        directive: Directive,
        read: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        self.value(directive, &read)
            .or_else(|| read(directive.default_value()?).ok())
    }

    /// What the layers say of a directive.
    fn text(&self, directive: Directive) -> Option<String> {
        self.merged.get_string(&directive.key()).ok()
    }

    /// How clients are authenticated, with the keys that the file names. `Some` as long as it is read, as with other directives.
    fn qualification(&mut self) -> Option<Option<Qualification>> {
        let demand = self.value_or_default(Directive::SecureQualification, str::parse)?;
        let directive = Directive::SecureQualificationKeys;
        let file = self.text(directive);
        let (required, file) = match (demand, file) {
            (SecureQualification::Off, file) => {
                if file.is_some() {
                    let fault = Fault::new("no key is used: SecureQualification is off");
                    self.report(Severity::Warning, directive, fault);
                }
                return Some(None);
            }
            (_, None) => {
                let fault = Fault::new(format!("no {directive}"))
                    .help(format!("write \"{directive}\" and the file of the keys"));
                self.error(Directive::SecureQualification, fault);
                return Some(None);
            }
            (demand, Some(file)) => (demand == SecureQualification::Required, file),
        };
        match KeyFile::read(&self.file.beside(&file)) {
            Ok(KeyFile { keys, diagnostics }) => {
                self.faults.append(diagnostics);
                Some(Some(Qualification { required, keys }))
            }
            Err(fault) => {
                self.error(directive, fault);
                Some(None)
            }
        }
    }

    /// Where the server tells what it does; `None` after an error.
    fn statistics(&mut self) -> Option<StatisticsSocket> {
        match self.text(Directive::StatisticsSocket) {
            Some(_) => self.value(Directive::StatisticsSocket, str::parse),
            None => Some(StatisticsSocket::BesidePidFile),
        }
    }

    fn prefix(&mut self) -> Option<ServicePrefix> {
        let (prefix, dropped) = self.value_or_default(Directive::Prefix, value::prefix)?;
        if dropped {
            let message = format!("bits past the first 32 are ignored: {prefix}");
            self.report(Severity::Warning, Directive::Prefix, Fault::new(message));
        }
        Some(prefix)
    }

    fn error(&mut self, directive: Directive, fault: Fault) {
        self.report(Severity::Error, directive, fault);
    }

    /// Reports a fault with the place of the word, or as one of the command line.
    fn report(&mut self, severity: Severity, directive: Directive, fault: Fault) {
        let place = self.place(directive, fault.word);
        self.faults.push(place.diagnostic(severity, fault));
    }

    /// Where a word of the value of a directive stands.
    fn place(&self, directive: Directive, word: usize) -> Place {
        let origin = match &self.merged.cache.kind {
            ValueKind::Table(values) => values.get(&directive.key()).and_then(Value::origin),
            _ => None,
        };
        if origin == Some(COMMAND_LINE) {
            return Place {
                path: COMMAND_LINE.into(),
                at: None,
            };
        }
        let line = self.file.line(directive);
        Place {
            path: self.file.path().to_owned(),
            at: line.and_then(|line| Some(line.at(line.words.get(word)?))),
        }
    }
}

/// Reads `yes` or `no`, or another word that `config` takes for them: on, off, true, false, 1, 0.
fn yes_or_no(text: &str) -> Result<bool, Fault> {
    let value = Value::new(None, text);
    value
        .into_bool()
        .map_err(|_| Fault::new(format!("{} is neither yes nor no", clip(text))))
}

//! The directives, once: the reader, the manual page and the sample file are checked against them.

use std::fmt;

/// Defines the directives, a row each: name, default value, most words of a value.
/// Where that is `usize::MAX`, the value itself says how many it may have.
macro_rules! directives {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $default:expr, $words:expr;)+) => {
        /// A directive of miredo-server.conf(5).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Directive { $($(#[$doc])* $variant,)+ }

        /// All directives, in the order of the manual page.
        pub const DIRECTIVES: [Directive; [$($words),+].len()] = [$(Directive::$variant),+];

        impl Directive {
            /// The name, as the manual page writes it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The value in force when the file gives none; `None` where that depends on something else.
            pub fn default_value(self) -> Option<&'static str> {
                match self { $(Self::$variant => $default,)+ }
            }

            /// How many words its value may have.
            pub(super) fn words(self) -> usize {
                match self { $(Self::$variant => $words,)+ }
            }
        }
    };
}

directives! {
    /// The primary address.
    ServerBindAddress = "ServerBindAddress", None, 1;
    /// The secondary address, or `none`.
    ServerBindAddress2 = "ServerBindAddress2", None, 1;
    /// What clients know the primary address as.
    PublicAddress = "PublicAddress", None, 1;
    /// What clients know the secondary address as.
    PublicAddress2 = "PublicAddress2", None, 1;
    /// Whether to wait until this host has the addresses.
    WaitForAddress = "WaitForAddress", Some("no"), 1;
    /// The Teredo service prefix.
    Prefix = "Prefix", Some("2001::"), 1;
    /// The MTU that clients are told.
    InterfaceMtu = "InterfaceMTU", Some("1280"), 1;
    /// The facility of syslog(3).
    SyslogFacility = "SyslogFacility", Some("daemon"), 1;
    /// Whether private and loopback addresses pass for global ones.
    AllowPrivateAddresses = "AllowPrivateAddresses", Some("no"), 1;
    /// How many threads serve.
    Workers = "Workers", Some("auto"), 1;
    /// How much one receiver is sent.
    RateLimit = "RateLimit", Some("10000 10000"), 2;
    /// How much may wait in each socket.
    ReceiveBuffer = "ReceiveBuffer", Some("auto"), 1;
    /// How echo requests leave for native IPv6.
    EchoPath = "EchoPath", Some("auto"), 1;
    /// Whether clients may prove who they are, or must.
    SecureQualification = "SecureQualification", Some("off"), 1;
    /// The file of the secrets that they prove it with.
    SecureQualificationKeys = "SecureQualificationKeys", None, 1;
    /// Where the server tells what it does.
    StatisticsSocket = "StatisticsSocket", None, 1;
    /// Where metrics are served.
    MetricsAddress = "MetricsAddress", Some("off"), 1;
    /// Where the network driver answers and drops.
    Accelerate = "Accelerate", Some("off"), usize::MAX;
}

/// Directives of miredo.conf(5): the client's and relay's file, easily taken for this one.
const CLIENT_DIRECTIVES: [&str; 6] = [
    "RelayType",
    "ServerAddress",
    "ServerAddress2",
    "InterfaceName",
    "BindAddress",
    "BindPort",
];

impl Directive {
    /// The key under which `config` keeps the value.
    pub(super) fn key(self) -> String {
        self.name().to_ascii_lowercase()
    }

    /// The directive of that name, in any case.
    pub(super) fn named(name: &str) -> Option<Self> {
        DIRECTIVES
            .into_iter()
            .find(|directive| directive.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What whoever wrote an unknown name may have meant.
pub(super) fn advice(unknown: &str) -> Option<String> {
    let before_sign = unknown.split(|c: char| !c.is_ascii_alphanumeric()).next();
    if let Some(directive) = before_sign.and_then(Directive::named) {
        return Some(format!("write {directive}, a space and the value"));
    }
    if let Some(known) = CLIENT_DIRECTIVES
        .iter()
        .find(|known| known.eq_ignore_ascii_case(unknown))
    {
        return Some(format!(
            "{known} belongs in miredo.conf(5), the file of Teredo clients and relays"
        ));
    }
    let lower = unknown.to_ascii_lowercase();
    // Longer than any directive and two mistakes: no need to compare.
    if lower.len() > 25 {
        return None;
    }
    DIRECTIVES
        .into_iter()
        .map(|directive| {
            (
                strsim::damerau_levenshtein(&directive.key(), &lower),
                directive,
            )
        })
        .filter(|(mistakes, _)| *mistakes <= 2)
        .min_by_key(|(mistakes, _)| *mistakes)
        .map(|(_, directive)| format!("did you mean {directive}?"))
}

//! Facilities of syslog(3).

use std::fmt;
use std::str::FromStr;

// nix::syslog::Facility lacks authpriv, cron and ftp, which the C server takes.
use nix::libc;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::value::{Fault, clip};

/// A facility of syslog(3). As a message, its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Facility {
    name: &'static str,
    code: libc::c_int,
}

macro_rules! facilities {
    ($($name:literal $code:ident)*) => {
        /// Those that every supported system has.
        const FACILITIES: &[Facility] =
            &[$(Facility { name: $name, code: libc::$code }),*];
    };
}

facilities! {
    "auth" LOG_AUTH
    "authpriv" LOG_AUTHPRIV
    "cron" LOG_CRON
    "daemon" LOG_DAEMON
    "ftp" LOG_FTP
    "kern" LOG_KERN
    "local0" LOG_LOCAL0
    "local1" LOG_LOCAL1
    "local2" LOG_LOCAL2
    "local3" LOG_LOCAL3
    "local4" LOG_LOCAL4
    "local5" LOG_LOCAL5
    "local6" LOG_LOCAL6
    "local7" LOG_LOCAL7
    "lpr" LOG_LPR
    "mail" LOG_MAIL
    "news" LOG_NEWS
    "syslog" LOG_SYSLOG
    "user" LOG_USER
    "uucp" LOG_UUCP
}

impl Facility {
    /// The facility argument of openlog(3), already shifted into place.
    pub fn code(self) -> i32 {
        self.code
    }

    /// The name in syslog.conf(5).
    pub fn name(self) -> &'static str {
        self.name
    }
}

impl Serialize for Facility {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Facility {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl FromStr for Facility {
    type Err = Fault;

    /// Reads a name without regard to case.
    fn from_str(text: &str) -> Result<Self, Fault> {
        FACILITIES
            .iter()
            .find(|facility| facility.name.eq_ignore_ascii_case(text))
            .copied()
            .ok_or_else(|| {
                Fault::new(format!("{} is not a syslog facility", clip(text))).help(
                    "one of auth, authpriv, cron, daemon, ftp, kern, local0 to local7, lpr, mail, \
                     news, syslog, user, uucp",
                )
            })
    }
}

impl fmt::Debug for Facility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::syslog::Facility as Nix;

    #[test]
    fn each_name_is_read() {
        for facility in FACILITIES {
            assert_eq!(facility.name().to_uppercase().parse(), Ok(*facility));
        }
    }

    #[test]
    fn codes_are_those_of_the_system() {
        let code = |name: &str| name.parse::<Facility>().map(Facility::code);
        assert_eq!(code("daemon"), Ok(Nix::LOG_DAEMON as i32));
        assert_eq!(code("local7"), Ok(Nix::LOG_LOCAL7 as i32));
        // The same on Linux, the BSDs and macOS: <syslog.h>.
        assert_eq!(code("authpriv"), Ok(10 << 3));
    }
}

//! The interfaces at which the network driver answers and drops.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::value::{Fault, clip};

/// Where a program in the network driver answers and drops datagrams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Accelerate {
    /// Nowhere.
    Off,
    /// At the interfaces that have the addresses of the server.
    Auto,
    /// At these, from 1 to [`Accelerate::MOST`], no name twice.
    Interfaces(Vec<String>),
}

impl Accelerate {
    /// Most interfaces. A program and its maps for each take memory of the kernel.
    pub const MOST: usize = 16;

    /// Longest name in bytes (`IFNAMSIZ`, include/uapi/linux/if.h in the kernel).
    const NAME_MAX: usize = 15;
}

/// What people write where they mean `off` or `auto`. An interface could have such a name, and has not.
const ANSWERS: [&str; 6] = ["yes", "no", "on", "none", "true", "false"];

impl FromStr for Accelerate {
    type Err = Fault;

    /// Reads `off`, `auto`, or names with one space between them.
    fn from_str(text: &str) -> Result<Self, Fault> {
        match text.to_ascii_lowercase().as_str() {
            "off" => return Ok(Self::Off),
            "auto" => return Ok(Self::Auto),
            _ => {}
        }
        let mut names: Vec<String> = Vec::new();
        for (word, name) in text.split(' ').enumerate() {
            let fault = fault(name, &names);
            if let Some(fault) = fault {
                return Err(Fault { word, ..fault });
            }
            names.push(name.to_owned());
        }
        Ok(Self::Interfaces(names))
    }
}

/// What is wrong with a name that follows others.
fn fault(name: &str, before: &[String]) -> Option<Fault> {
    let word = name.to_ascii_lowercase();
    if word == "off" || word == "auto" {
        let fault = Fault::new(format!("{word} does not stand beside interfaces"));
        return Some(fault.help("write off or auto alone, or the names of interfaces"));
    }
    if ANSWERS.contains(&&*word) {
        let fault = Fault::new(format!("{word} is neither off, auto nor an interface"));
        return Some(fault.help("write off, auto, or the names of interfaces, as eth0"));
    }
    if !is_name(name) {
        let fault = Fault::new(format!("{} is not the name of an interface", clip(name)));
        return Some(fault.help(format!(
            "a name has at most {} characters, and neither / nor :, as eth0",
            Accelerate::NAME_MAX
        )));
    }
    if name == "lo" {
        let fault = Fault::new("lo is the loopback interface: no client is there");
        return Some(fault.help("name the interfaces by which datagrams arrive"));
    }
    if before.iter().any(|earlier| earlier == name) {
        return Some(Fault::new(format!("{name} again")));
    }
    (before.len() >= Accelerate::MOST)
        .then(|| Fault::new(format!("more than {} interfaces", Accelerate::MOST)))
}

/// Whether an interface can have this name (`dev_valid_name`, net/core/dev.c in the kernel), and a terminal and a log can show it.
fn is_name(name: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_graphic() && octet != b'/' && octet != b':';
    (1..=Accelerate::NAME_MAX).contains(&name.len())
        && !matches!(name, "." | "..")
        && name.bytes().all(allowed)
}

impl fmt::Display for Accelerate {
    /// As the configuration has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Auto => f.write_str("auto"),
            Self::Interfaces(names) => f.write_str(&names.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_and_shown() {
        for text in [
            "off",
            "auto",
            "eth0",
            "eth0 enp1s0f0np0 br-lan.7@x",
            "Off0 a23456789012345",
        ] {
            let read: Accelerate = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
        assert_eq!("OFF".parse(), Ok(Accelerate::Off));
        assert_eq!("Auto".parse(), Ok(Accelerate::Auto));
    }

    #[test]
    fn a_fault_has_the_place_of_its_word() {
        let fault = |text: &str| text.parse::<Accelerate>().unwrap_err();
        for (text, word, message) in [
            ("eth0 off", 1, "off does not stand beside interfaces"),
            ("AUTO eth0", 0, "auto does not stand beside interfaces"),
            ("Yes", 0, "yes is neither off, auto nor an interface"),
            ("eth0 none", 1, "none is neither off, auto nor"),
            ("eth0 eth1 lo", 2, "lo is the loopback interface"),
            ("eth0 eth1 eth0", 2, "eth0 again"),
            ("a234567890123456", 0, "is not the name of an interface"),
            ("eth0:1", 0, "is not the name"),
            ("eth0 a/b", 1, "is not the name"),
            ("..", 0, "is not the name"),
            ("eth\u{fffd}", 0, "is not the name"),
            ("", 0, "is not the name"),
        ] {
            let fault = fault(text);
            assert_eq!(fault.word, word, "{text}");
            assert!(fault.message.contains(message), "{text}: {fault}");
        }
        let names: Vec<_> = (0..17).map(|number| format!("eth{number}")).collect();
        assert!(names[..16].join(" ").parse::<Accelerate>().is_ok());
        let fault = fault(&names.join(" "));
        assert_eq!(
            (fault.word, &*fault.message),
            (16, "more than 16 interfaces")
        );
    }
}

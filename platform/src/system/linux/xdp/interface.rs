//! Interfaces that a program can be attached to.

use std::fs;
use std::path::Path;

use nix::ifaddrs::getifaddrs;

use super::driver;
use crate::accelerator::{Mode, Place};
use crate::error::OsError;

/// Where the kernel shows network devices (Documentation/ABI/testing/sysfs-class-net).
const DEVICES: &str = "/sys/class/net";
/// A frame whose tag is gone looks like one of the interface itself, and the answer would have none.
const VLANS: &str =
    "there are VLANs on it, whose tags the hardware may take off before the program sees them";

/// Where a program can be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// Its Ethernet address.
    pub ethernet: [u8; 6],
}

impl Interface {
    /// The interface of this name.
    ///
    /// # Errors
    /// Of getifaddrs(3); that there is none, that it has no Ethernet address, or that there are VLANs on it.
    pub fn named(name: &str) -> Result<Self, OsError> {
        let failed = |error| OsError::new("getifaddrs", name, error);
        let refused = |why| Err(OsError::refused("attach XDP program", name, why));
        let mut known = false;
        for interface in getifaddrs().map_err(failed)? {
            if interface.interface_name != name {
                continue;
            }
            known = true;
            let address = interface.address.as_ref();
            let Some(link) = address.and_then(|address| address.as_link_addr()) else {
                continue;
            };
            let index = u32::try_from(link.ifindex());
            if let (Some(ethernet), Ok(index)) = (link.addr(), index)
                && link.hatype() == libc::ARPHRD_ETHER
            {
                if has_vlans(&Path::new(DEVICES).join(name)) {
                    return refused(VLANS);
                }
                return Ok(Self {
                    name: name.to_owned(),
                    index,
                    ethernet,
                });
            }
        }
        match known {
            true => refused("the interface is not Ethernet"),
            false => refused("there is no such interface"),
        }
    }

    /// Where a program may be attached, the best place first. What one end of a veth pair sends from the driver is lost unless the
    /// other end has a program, too (`veth_xdp_xmit`, `veth_xdp_flush`, drivers/net/veth.c), which can go at any time. GRO there
    /// is not enough: it lets the frames into the ring, which nobody is told to empty.
    #[must_use]
    pub fn modes(&self) -> &'static [Mode] {
        match driver::name(&self.name) {
            Ok(driver) if driver == "veth" => &[Mode::Generic],
            _ => &[Mode::Native, Mode::Generic],
        }
    }
}

/// The interface of this index.
///
/// # Errors
/// Of getifaddrs(3).
pub(super) fn place(index: u32) -> Result<Option<Place>, OsError> {
    let failed = |error| OsError::new("getifaddrs", index, error);
    let mut places = getifaddrs().map_err(failed)?.filter_map(|interface| {
        let link = *interface.address.as_ref()?.as_link_addr()?;
        (u32::try_from(link.ifindex()) == Ok(index)).then_some(Place {
            has_vlans: has_vlans(&Path::new(DEVICES).join(&interface.interface_name)),
            interface: interface.interface_name,
            ethernet: link.addr()?,
        })
    });
    Ok(places.next())
}

/// Whether a device, shown in this directory, has VLANs on it: upper devices that say so.
fn has_vlans(device: &Path) -> bool {
    let Ok(entries) = fs::read_dir(device) else {
        return false;
    };
    let mut uppers = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        name.as_encoded_bytes().starts_with(b"upper_")
    });
    uppers.any(|upper| {
        fs::read_to_string(upper.path().join("uevent"))
            .is_ok_and(|words| words.lines().any(|line| line == "DEVTYPE=vlan"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As sysfs shows a bridge and a VLAN on an interface.
    #[test]
    fn vlans_are_told_from_other_devices_above() {
        let name = format!("miredo-xdp-interface-{}", std::process::id());
        let device = std::env::temp_dir().join(name);
        for (upper, kind, expected) in [
            ("statistics", "vlan", false),
            ("upper_br0", "bridge", false),
            ("upper_eth0.5", "vlan", true),
        ] {
            fs::create_dir_all(device.join(upper)).unwrap();
            let words = format!("DEVTYPE={kind}\nINTERFACE=x\nIFINDEX=7\n");
            fs::write(device.join(upper).join("uevent"), words).unwrap();
            assert_eq!(has_vlans(&device), expected, "{upper}");
        }
        fs::remove_dir_all(&device).unwrap();
        assert!(!has_vlans(&device));
    }

    #[test]
    fn loopback_is_not_ethernet_and_nothing_is_not_there() {
        for (name, words) in [
            ("lo", "attach XDP program lo: the interface is not Ethernet"),
            (
                "none0",
                "attach XDP program none0: there is no such interface",
            ),
        ] {
            assert_eq!(Interface::named(name).unwrap_err().to_string(), words);
        }
    }
}

//! Interfaces that a program can be attached to.

use nix::ifaddrs::getifaddrs;

use crate::error::OsError;

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
    /// Of getifaddrs(3); that there is none, or that it has no Ethernet address.
    pub fn named(name: &str) -> Result<Self, OsError> {
        let failed = |error| OsError::new("getifaddrs", name, error);
        let refused = |why| OsError::refused("attach XDP program", name, why);
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
                return Ok(Self {
                    name: name.to_owned(),
                    index,
                    ethernet,
                });
            }
        }
        Err(match known {
            true => refused("the interface is not Ethernet"),
            false => refused("there is no such interface"),
        })
    }
}

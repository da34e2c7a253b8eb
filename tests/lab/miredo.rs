//! Debian's `miredo`, as client and as relay.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{DEADLINE, Namespace, PrivateDir, Process, wait_until};

/// The tunnel interface that `miredo` makes.
const INTERFACE: &str = "teredo";

/// A Teredo client.
pub(crate) struct Client<'a> {
    pub(crate) host: &'a Namespace,
    _daemon: Daemon,
}

impl<'a> Client<'a> {
    /// Asks `server` from UDP port `port`.
    pub(crate) fn start(host: &'a Namespace, server: Ipv4Addr, port: u16) -> Self {
        let configuration = format!("RelayType client\nServerAddress {server}\nBindPort {port}\n");
        let daemon = Daemon::start(host, &configuration);
        Self {
            host,
            _daemon: daemon,
        }
    }

    /// Waits until the client is qualified: its address and the default route are in place.
    #[track_caller]
    pub(crate) fn wait_for_address(&self) -> Ipv6Addr {
        wait_until("the client's default route", DEADLINE, || {
            let routes = self.host.ip("-6 route show default");
            routes.contains(&format!("dev {INTERFACE}"))
        });
        // 3: teredo    inet6 2001:0:...:9bfe/32 scope global ...
        let listing = self
            .host
            .ip(&format!("-6 -o address show dev {INTERFACE} scope global"));
        let address = listing.split_whitespace().nth(3).unwrap();
        address.strip_suffix("/32").unwrap().parse().unwrap()
    }
}

/// A Teredo relay, with the route to the Teredo prefix in place.
pub(crate) struct Relay {
    _daemon: Daemon,
}

impl Relay {
    /// `kind` is the value of RelayType in miredo.conf(5): `cone` or `restricted`.
    #[track_caller]
    pub(crate) fn start(host: &Namespace, address: Ipv4Addr, kind: &str) -> Self {
        let daemon = Daemon::start(host, &format!("RelayType {kind}\nBindAddress {address}\n"));
        wait_until("the relay's route", DEADLINE, || {
            host.ip("-6 route show")
                .contains(&format!("2001::/32 dev {INTERFACE}"))
        });
        Self { _daemon: daemon }
    }
}

/// A running `miredo`; stopped on drop.
struct Daemon {
    _process: Process,
    _dir: PrivateDir,
}

impl Daemon {
    fn start(host: &Namespace, configuration: &str) -> Self {
        let dir = PrivateDir::new();
        let file = dir.write(
            "miredo.conf",
            &format!("InterfaceName {INTERFACE}\n{configuration}"),
        );
        let pid_file = dir.path().join("miredo.pid");
        let [file, pid_file] = [&file, &pid_file].map(|path| path.to_str().unwrap());
        let process = host.spawn("miredo", &["-f", "-c", file, "-p", pid_file]);
        Self {
            _process: process,
            _dir: dir,
        }
    }
}

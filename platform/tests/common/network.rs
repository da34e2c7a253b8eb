//! Networks of a test's own on Linux, and watching what passes in them.

use std::env;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::common::skip;

/// A socket that sees every IPv6 packet that arrives at `interface`, from its IPv6 header on.
pub(crate) fn watch_ipv6(interface: &str) -> Socket {
    let ipv6 = (libc::ETH_P_IPV6 as u16).to_be();
    let watch = Socket::new(
        Domain::PACKET,
        Type::DGRAM,
        Some(Protocol::from(i32::from(ipv6))),
    )
    .unwrap();
    watch
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let index = nix::net::if_::if_nametoindex(interface).unwrap();
    watch.bind(&packet_address(ipv6, index)).unwrap();
    watch
}

fn packet_address(protocol: u16, index: u32) -> SockAddr {
    let mut storage = socket2::SockAddrStorage::zeroed();
    // SAFETY: a sockaddr_ll is integers, and the storage is made for every kind of address.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index as i32;
    // SAFETY: as long as the address that was written to the storage.
    unsafe { SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as u32) }
}

pub(crate) fn receive(watch: &Socket) -> Vec<u8> {
    let mut packet = [0; 2048];
    let length = { watch }.read(&mut packet).unwrap();
    packet[..length].to_vec()
}

/// Runs the test named `test` again in a process with a network of its own, which ends with it. True in that process:
/// the body is to run there. False in the parent, once the child has succeeded.
pub(crate) fn in_own_network(test: &str) -> bool {
    const CHILD: &str = "MIREDO_TEST_OWN_NETWORK";
    if env::var_os(CHILD).is_some() {
        run("ip link set lo up");
        return true;
    }
    let unshare = || {
        let mut command = Command::new("unshare");
        command.arg("--net");
        if !nix::unistd::Uid::effective().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command
    };
    let trial = unshare()
        .args(["ip", "link"])
        .stdout(Stdio::null())
        .status();
    if !trial.is_ok_and(|status| status.success()) {
        skip(
            "no network namespace: wants unshare (util-linux), ip (iproute2), and root or user namespaces",
        );
        return false;
    }
    let status = unshare()
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} in its own network: {status}");
    false
}

/// Runs one command, words parted by spaces, which must succeed.
pub(crate) fn run(command: &str) {
    let mut words = command.split(' ');
    let status = Command::new(words.next().unwrap())
        .args(words)
        .status()
        .unwrap();
    assert!(status.success(), "{command}: {status}");
}

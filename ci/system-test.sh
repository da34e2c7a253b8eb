#!/bin/sh
# Tests that the server works on this system: FreeBSD, OpenBSD, NetBSD, macOS or Linux. Needs cargo and the base system. As root,
# also tests the service. Its author has run it on Linux only.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

main() {
    run 'Debian packages' packages iproute2 iputils-ping miredo miredo-server netcat-openbsd nftables procps tcpdump
    run 'versions' versions
    run 'build' cargo build --workspace --locked
    run 'loopback addresses' loopback_addresses
    run 'tests' cargo test --workspace --locked --no-fail-fast
    if [ "$(id -u)" -ne 0 ]; then
        skip 'service' 'needs root'
        return
    fi
    run 'service' service
}

versions() {
    uname -a
    rustc -V
}

# Without them the tests that need two addresses are skipped.
loopback_addresses() {
    if [ "$(uname -s)" != Linux ] && [ "$(id -u)" -eq 0 ]; then
        for address in 127.0.0.2 127.0.0.3; do
            ifconfig lo0 | grep -q "inet $address " || ifconfig lo0 inet "$address" netmask 255.255.255.255 alias
        done
    fi
}

service() {
    program=${CARGO_TARGET_DIR:-target}/debug/miredo-server
    case $(uname -s) in
        # Other systems have no network namespaces. The owner of the machine decides whether to run this as root.
        Linux) unshare --net ci/system-service.sh "$program" ;;
        *) ci/system-service.sh "$program" ;;
    esac
}

PATH=$PATH:/usr/local/bin:/usr/pkg/bin:/usr/sbin:/sbin
# sudo(8) keeps the login class of the ordinary user, whose limit may be too small for a compiler (login.conf(5), datasize).
if [ "$(uname -s)" = OpenBSD ] && [ "$(id -u)" -eq 0 ]; then
    # shellcheck disable=SC3045 # the sh of that system has it
    ulimit -d unlimited
fi
main

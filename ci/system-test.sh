#!/bin/sh
# What shows that the server works on the system at hand, whichever it is: FreeBSD, OpenBSD, NetBSD, macOS or Linux. Needs
# cargo and the base system; as root also proves the service. Run on Linux only, by its author.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

main() {
    run 'Debian packages' packages iproute2 netcat-openbsd procps tcpdump
    run 'versions' versions
    run 'build' cargo build --workspace --locked
    run 'unit tests' cargo test --workspace --locked --lib --bins
    run 'loopback end to end' loopback
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

# One test at a time: where 127/8 is a single address, they share it and its neighbour.
loopback() {
    if [ "$(uname -s)" != Linux ] && [ "$(id -u)" -eq 0 ]; then
        for address in 127.0.0.2 127.0.0.3; do
            ifconfig lo0 | grep -q "inet $address " || ifconfig lo0 inet "$address" netmask 255.255.255.255 alias
        done
    fi
    cargo test --locked --test loopback --test probe -- --test-threads=1
    if [ "$(uname -s)" = Linux ] || [ "$(id -u)" -eq 0 ]; then
        cargo test --locked -p miredo-platform --test udp
    fi
    cargo test --locked -p miredo-platform --test process a_confined_process_serves
}

service() {
    program=${CARGO_TARGET_DIR:-target}/debug/miredo-server
    case $(uname -s) in
        # Elsewhere the machine is one for tests, or its owner's decision.
        Linux) unshare --net ci/system-service.sh "$program" ;;
        *) ci/system-service.sh "$program" ;;
    esac
}

PATH=$PATH:/usr/local/bin:/usr/pkg/bin:/usr/sbin:/sbin
# The login class of an ordinary user, which sudo(8) leaves to root, may give a compiler too little (login.conf(5), datasize).
if [ "$(uname -s)" = OpenBSD ] && [ "$(id -u)" -eq 0 ]; then
    # shellcheck disable=SC3045 # as that system's sh has it
    ulimit -d unlimited
fi
main

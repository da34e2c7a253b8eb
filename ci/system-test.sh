#!/bin/sh
# What shows that the server works on the system at hand, whichever it is: FreeBSD, OpenBSD, NetBSD, macOS or Linux. Needs
# cargo and the base system; as root also proves the service. Not run by its author but on Linux.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

main() {
    run 'versions' versions
    run 'build' cargo build --workspace --locked
    run 'unit tests' cargo test --workspace --locked --lib --bins
    run 'loopback end to end' cargo test --locked --test loopback
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

service() {
    program=${CARGO_TARGET_DIR:-target}/debug/miredo-server
    case $(uname -s) in
        # Elsewhere the machine is one for tests, or its owner's decision.
        Linux) unshare --net ci/system-service.sh "$program" ;;
        *) ci/system-service.sh "$program" ;;
    esac
}

PATH=$PATH:/usr/local/bin:/usr/pkg/bin:/usr/sbin:/sbin
main

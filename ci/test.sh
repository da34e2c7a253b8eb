#!/bin/sh
# Runs every test that this machine can run, and says which it cannot. As root it runs all of them, in network namespaces
# that it makes and deletes; on Debian it installs what they need, without starting any of it.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

reference=/usr/sbin/miredo-server

main() {
    run 'Debian packages' packages g++ iproute2 iputils-ping miredo miredo-server nftables procps
    run 'tests' cargo test --workspace --locked --no-fail-fast
    run 'tests, one datagram a call' plain
    fuzz
    # What the C server does not pass either, no client needs.
    if [ -x "$reference" ]; then
        run 'interop, C server' env "MIREDO_SERVER_SUBJECT=$reference" cargo test --locked --test interop
    else
        skip 'interop, C server' "no $reference"
    fi
}

# The backend that any Unix can run, where a faster one would be chosen.
plain() {
    cargo test --locked -p miredo-platform --features plain-udp
    cargo test --locked --features plain-udp --test loopback --test daemon
}

fuzz() {
    # A minute to build the fuzzer and one to run it is much to ask of somebody who only wants to see the tests pass.
    if [ -n "${CI:-}" ] || [ -x "$tools/bin/cargo-fuzz" ]; then
        run 'fuzz' ci/fuzz.sh 20
    else
        skip 'fuzz' 'no cargo-fuzz here yet; ci/fuzz.sh installs it and runs it'
    fi
}

main

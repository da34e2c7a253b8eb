#!/bin/sh
# Runs every test that this machine can run, and names those that it skips. As root, runs all of them, in network namespaces that
# it creates and deletes. On Debian, as root, installs what they need and starts none of it.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

reference=/usr/sbin/miredo-server

main() {
    run 'Debian packages' packages bird2 conntrack coreutils frr g++ iproute2 iputils-ping miredo miredo-server nftables procps strace
    run 'tests' cargo test --workspace --locked --no-fail-fast
    run 'tests, one datagram a call' plain
    # An ordinary user has run them as one.
    if [ "$(uname -s)" = Linux ] && [ "$(id -u)" -eq 0 ]; then
        run 'tests, as a machine that builds packages runs them' builder
    fi
    fuzz
    ci/faults.sh quick
    run 'metrics' ci/metrics.sh
    # The C server must pass too: clients do not need what it does not do.
    if [ -x "$reference" ]; then
        run 'interop, C server' env "MIREDO_SERVER_SUBJECT=$reference" cargo test --locked --test interop
    else
        skip 'interop, C server' "no $reference"
    fi
}

# Tests the backend that runs on every Unix, on systems that have a faster one.
plain() {
    cargo test --locked -p miredo-platform --features plain-udp
    cargo test --locked --features plain-udp --test loopback --test daemon
}

builder() {
    cargo test --workspace --locked --no-fail-fast --tests --config "target.'cfg(unix)'.runner = ['sh', '$PWD/ci/builder.sh']"
}

fuzz() {
    # Building the fuzzer takes a minute, and so does running it: too long for somebody who only wants to see the tests pass.
    if [ -n "${CI:-}" ] || [ -x "$tools/bin/cargo-fuzz" ]; then
        run 'fuzz' ci/fuzz.sh 20
    else
        skip 'fuzz' 'no cargo-fuzz here yet; ci/fuzz.sh installs it and runs it'
    fi
}

main

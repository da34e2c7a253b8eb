#!/bin/sh
# usage: ci/bench.sh [--quick] [option of "miredo-bench compare"...]
# The server beside the C server and beside a server that does nothing, under the same loads, as root, in network
# namespaces of its own: under four minutes, with --quick under forty seconds, and the time to build. Times are those
# of this machine and moment; only ratios within one run say anything. No part of ci/test.sh: no test waits for a clock.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

built=${CARGO_TARGET_DIR:-target}/release

main() {
    check 'Debian packages' packages g++ iproute2 miredo-server
    check 'build' cargo build --release --locked -p miredo-server -p miredo-bench
    run 'Server::handle alone, nanoseconds' "$built/miredo-bench" handle
    run 'side by side' timeout 235 "$built/miredo-bench" compare "$@"
}

main "$@"

#!/bin/sh
# usage: ci/bench.sh [--quick] [option of "miredo-bench compare"...]
# The server beside the C server and beside a server that does nothing, under the same loads, as root, in network
# namespaces of its own: under five minutes, with --quick under forty seconds, and the time to build. Times are those
# of this machine and moment; only ratios within one run say anything. No part of ci/test.sh: no test waits for a clock.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

bench=${CARGO_TARGET_DIR:-target}/release/miredo-bench

main() {
    check 'Debian packages' packages g++ iproute2 miredo-server
    check 'build' cargo build --release --locked -p miredo-server -p miredo-bench
    run 'Server::handle alone, nanoseconds' "$bench" handle
    case " $* " in
        *' --quick '*) ;;
        *)
            check 'valgrind' packages valgrind
            run 'Server::handle alone, instructions' instructions
            ;;
    esac
    run 'side by side' timeout 235 "$bench" compare "$@"
}

# The same for the same program and compiler, whatever else the machine does.
instructions() {
    "$bench" handle --time 1 | sed -e 's/^ *//' -e 's/:.*//' | while read -r case; do
        printf '  %-40s%12d\n' "$case" $((($(executed 3000 "$case") - $(executed 2000 "$case")) / 1000))
    done
}

# executed TIMES CASE: in a run that handles the case so many times.
executed() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" handle --times "$1" --only "$2" 2>&1 |
        sed -n 's/.*Collected : //p'
}

main "$@"

#!/bin/sh
# usage: ci/bench.sh [--quick] [option of "miredo-bench compare"...]
# Compares the server with the C server and with a server that does nothing, under the same loads. Runs as root, in its own
# network namespaces. Takes less than five minutes, or less than forty seconds with --quick, plus the time to build. Absolute
# numbers depend on the machine and the moment; only ratios within one run mean something. It is not part of ci/test.sh,
# because no test waits for a clock.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

bench=${CARGO_TARGET_DIR:-target}/release/miredo-bench

main() {
    check 'Debian packages' packages g++ iproute2 miredo-server
    progress 'build' cargo build --release --locked -p miredo-server -p miredo-bench
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

# This number depends only on the program and the compiler, not on the load of the machine.
instructions() {
    "$bench" handle --time 1 | sed -e 's/^ *//' -e 's/:.*//' | while read -r case; do
        printf '  %-40s%12d\n' "$case" $((($(executed 3000 "$case") - $(executed 2000 "$case")) / 1000))
    done
}

# executed TIMES CASE: the instructions of a run that handles the case that many times.
executed() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" handle --times "$1" --only "$2" 2>&1 |
        sed -n 's/.*Collected : //p'
}

main "$@"

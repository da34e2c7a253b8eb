#!/bin/sh
# usage: ci/bench.sh [--quick] [option of "miredo-bench compare"...]
# Compares the server with the C server and with a server that does nothing, under the same loads. Runs as root, in its own
# network namespaces. Takes less than five minutes, or less than forty seconds with --quick, plus the time to build. Absolute
# numbers depend on the machine and the moment; only ratios within one run mean something. It is not part of ci/test.sh,
# because no test waits for a clock.
#
# Where the tools are that build the program in the network driver (platform/build.rs: $MIREDO_XDP_LINKER, else bpf-linker), that
# is measured, too, which takes four minutes more, or half a minute with --quick.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

bench=${CARGO_TARGET_DIR:-target}/release/miredo-bench
linker=${MIREDO_XDP_LINKER:-bpf-linker}

main() {
    check 'Debian packages' packages ethtool g++ iproute2 miredo-server
    progress 'build' cargo build --release --locked -p miredo-server
    if command -v "$linker" >/dev/null; then
        progress 'build of the bench' cargo build --release --locked -p miredo-bench --features xdp
    else
        progress 'build of the bench' cargo build --release --locked -p miredo-bench
    fi
    run 'Server::handle alone, nanoseconds' "$bench" handle
    case " $* " in
        *' --quick '*) ;;
        *)
            check 'valgrind' packages valgrind
            run 'Server::handle alone, instructions' instructions
            ;;
    esac
    run 'side by side' timeout 235 "$bench" compare "$@"
    if command -v "$linker" >/dev/null; then
        case " $* " in
            *' --quick '*) set -- --quick ;;
            *) set -- ;;
        esac
        run 'the program in the driver alone, nanoseconds' "$bench" driver
        run 'the driver side by side' timeout 330 "$bench" compare-driver "$@"
    else
        echo "SKIPPED: the program in the driver: no $linker"
    fi
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

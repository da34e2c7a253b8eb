# shellcheck shell=sh
# Sourced by the scripts of this directory. Changes to the top of the tree. Reports whether a step passes, fails or is skipped.
set -eu

CDPATH='' cd -- "$(dirname -- "$0")/.."
# That of rustup comes before that of a package, which ci/xdp.sh installs for its compiler alone.
installed=${HOME:-/root}/.cargo/bin
[ ! -x "$installed/cargo" ] || PATH=$installed:$PATH

# Programs from crates.io are kept in the target directory.
tools=$PWD/target/ci-tools
case ${CARGO_TARGET_DIR:-} in
    '') ;;
    /*) tools=$CARGO_TARGET_DIR/ci-tools ;;
    *) tools=$PWD/$CARGO_TARGET_DIR/ci-tools ;;
esac

# mktemp(1) of NetBSD demands a template.
log=$(mktemp "${TMPDIR:-/tmp}/miredo-ci.XXXXXXXXXX")
trap 'rm -f "$log"' EXIT

# check NAME COMMAND [ARGUMENT...]: prints one line if the command passes or is skipped, and its whole output if it fails.
check() {
    name=$1
    shift
    begin=$(date +%s)
    # On a terminal: what runs now. The line of the result is longer and covers it.
    [ ! -t 1 ] || printf '... %s\r' "$name"
    # Not as a condition: in a condition, the shell ignores every failure but the last.
    set +e
    (set -e && "$@") >"$log" 2>&1 </dev/null
    status=$?
    set -e
    if [ "$status" -ne 0 ]; then
        cat "$log"
        fail "$name"
    fi
    grep '^SKIPPED' "$log" || echo "ok: $name ($(($(date +%s) - begin)) s)"
}

# run NAME COMMAND [ARGUMENT...]: the same, and always prints the output.
run() {
    name=$1
    shift
    echo "== $name"
    set +e
    (set -e && "$@") </dev/null
    status=$?
    set -e
    [ "$status" -eq 0 ] || fail "$name"
}

# progress NAME COMMAND [ARGUMENT...]: for what takes minutes. As run on a terminal, where somebody waits; as check elsewhere.
progress() {
    if [ -t 1 ]; then run "$@"; else check "$@"; fi
}

# skip NAME WHY: reports a step that does not run. If CI is set, this is a failure.
skip() {
    echo "SKIPPED: $1: $2"
    [ -z "${CI:-}" ] || fail "$1"
}

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

# crate NAME VERSION [OPTION...]: installs the program of that crate in $tools, built by cargo with these options. Unoptimised,
# because building it takes longer than running it.
crate() {
    crate=$1 version=$2
    shift 2
    [ "$("$tools/bin/$crate" --version 2>/dev/null)" = "$crate $version" ] ||
        cargo install --quiet --locked --debug --root "$tools" "$crate" --version "$version" "$@"
}

# packages NAME...: installs those of these Debian packages that are missing. Does so only on Debian, as root.
packages() {
    command -v apt-get >/dev/null || return 0
    missing=
    for package; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "SKIPPED: what needs$missing (as root, this script installs them)"
        return 0
    fi
    # No package may start a service when it is installed (invoke-rc.d(8) reads this file) ...
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    apt-get update -q
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
    # ... and none of these daemons may start at the next boot, since their packages are here for a test.
    for package in $missing; do
        case $package in
            bird2) update-rc.d bird disable ;;
            frr | miredo | miredo-server | prometheus) update-rc.d "$package" disable ;;
        esac
    done
}

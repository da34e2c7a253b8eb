# shellcheck shell=sh
# For the scripts of this directory to source: goes to the top of the tree, and says how a step passes, fails or is skipped.
set -eu

CDPATH='' cd -- "$(dirname -- "$0")/.."
command -v cargo >/dev/null || PATH=$PATH:${HOME:-/root}/.cargo/bin

# Programs that come from crates.io are kept with what else was built.
tools=$PWD/target/ci-tools
case ${CARGO_TARGET_DIR:-} in
    '') ;;
    /*) tools=$CARGO_TARGET_DIR/ci-tools ;;
    *) tools=$PWD/$CARGO_TARGET_DIR/ci-tools ;;
esac

# mktemp(1) of NetBSD demands a template.
log=$(mktemp "${TMPDIR:-/tmp}/miredo-ci.XXXXXXXXXX")
trap 'rm -f "$log"' EXIT

# check NAME COMMAND [ARGUMENT...]: one line where it passes or is skipped; where it fails, all that it said.
check() {
    name=$1
    shift
    begin=$(date +%s)
    # Not as a condition, within which the shell would ignore every failure but the last.
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

# run NAME COMMAND [ARGUMENT...]: the same for what is worth reading when it passes.
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

# skip NAME WHY: where somebody waits for a verdict (CI is set), nothing passes by not running.
skip() {
    echo "SKIPPED: $1: $2"
    [ -z "${CI:-}" ] || fail "$1"
}

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

# crate NAME VERSION: has a program of that crate in $tools. Unoptimised: it is built more often than it runs long.
crate() {
    [ "$("$tools/bin/$1" --version 2>/dev/null)" = "$1 $2" ] ||
        cargo install --quiet --locked --debug --root "$tools" "$1" --version "$2"
}

# packages NAME...: installs what is missing of these Debian packages, where that can be done: on Debian, as root.
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
    # No package may start a service while it is installed (the file is that of invoke-rc.d(8)) ...
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    apt-get update -q
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
    # ... nor a Teredo client or server at the next boot, because its package was wanted for a test.
    for package in $missing; do
        case $package in
            miredo | miredo-server) update-rc.d "$package" disable ;;
        esac
    done
}

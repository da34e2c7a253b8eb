#!/bin/sh
# Checks the service scripts as far as this machine can: all of them with their shells and parsers, and the units of systemd by
# systemd itself. It boots in a container with its own network, and starts, reloads and stops the server.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=ci/container.sh
. ci/container.sh

main() {
    check 'Debian packages' packages bsdutils dash iproute2 logrotate mksh netcat-openbsd original-awk procps python3 shellcheck \
        systemd systemd-container tcpdump
    check 'rc.d of FreeBSD and NetBSD' with dash scripts dash sh etc/rc.d/freebsd etc/anycast/freebsd etc/rc.d/netbsd
    check 'rc.d of OpenBSD' with mksh scripts mksh ksh etc/rc.d/openbsd
    check 'launchd' with python3 plist
    check 'logrotate' with logrotate rotation
    check 'newsyslog' newsyslog
    run 'system test of the service, by a ksh and an awk of the BSDs' with mksh of_the_bsds
    progress 'build' sh etc/install.sh build
    check 'systemd units' with systemd-analyze units
    check 'systemd exposure' with systemd-analyze exposure
    run 'systemd start, reload, stop' with systemd-nspawn boot
}

# with PROGRAM COMMAND...: runs the command if the program exists.
with() {
    if ! command -v "$1" >/dev/null; then
        skip "$name" "no $1"
        return
    fi
    shift
    "$@"
}

# SC1091, SC2034, SC2154: rc.subr defines and reads these. SC2086, SC2223: defaults and flags are in the style of rc.subr.
scripts() {
    shell=$1 dialect=$2
    shift 2
    for script; do
        "$shell" -n "$script"
        shellcheck --shell="$dialect" --exclude=SC1091,SC2034,SC2154,SC2086,SC2223 "$script"
    done
}

# Without what is of those systems alone. As near as Debian has them: mksh descends from the ksh of OpenBSD, original-awk is the awk
# of all of them.
of_the_bsds() {
    mkdir "$scratch/bin"
    ln -s "$(command -v original-awk)" "$scratch/bin/awk"
    cargo build --locked
    PATH=$scratch/bin:$PATH unshare --net mksh ci/system-service.sh "${CARGO_TARGET_DIR:-target}/debug/miredo-server"
}

plist() {
    python3 -c 'import plistlib, sys; assert plistlib.load(open(sys.argv[1], "rb"))["Label"] == "miredo-server"' \
        etc/launchd/miredo-server.plist
}

# With -d, logrotate only prints what it would do, and its errors, and returns 0.
rotation() {
    # It does not read files that other users than root can write.
    install -m 644 etc/logrotate/miredo-server "$scratch/logrotate"
    logrotate -d "$scratch/logrotate" >"$scratch/said" 2>&1
    cat "$scratch/said"
    if grep -qi '^error' "$scratch/said"; then return 1; fi
}

# Checks the fields of a line, and that its flags exist on all BSDs.
newsyslog() {
    grep -v '^#' etc/newsyslog/miredo-server.conf >"$scratch/newsyslog"
    cat "$scratch/newsyslog"
    [ -s "$scratch/newsyslog" ]
    ! grep -Ev '^/[^[:space:]]+([[:space:]]+[a-z]*:[a-z]*)?[[:space:]]+[0-7]{3}[[:space:]]+[0-9]+[[:space:]]+[0-9*]+[[:space:]]+[^[:space:]]+[[:space:]]+[ZB]+$' \
        "$scratch/newsyslog"
}

# Installed in an empty directory, so that the program is where the units expect it.
units() {
    PREFIX=$scratch SAMPLEDIR=$scratch sh etc/install.sh install >/dev/null
    systemd-analyze verify --man=no "$scratch"/lib/systemd/system/*.service
}

# systemd's rating of what an attacker could do who has taken over the service: 0 is harmless, 100 is root. The rating depends on
# the version; that of Debian 12 gives 25, 16 and 18.
exposure() {
    for limit in miredo-server:30 miredo-server-unprivileged:20 teredo-anycast:20; do
        systemd-analyze security --offline=yes --no-pager --threshold="${limit#*:}" \
            "$scratch/lib/systemd/system/${limit%:*}.service"
    done
}

boot() {
    # shellcheck disable=SC2016 # expanded where it runs
    container 'DESTDIR=$machine sh etc/install.sh install >/dev/null' ci/services-boot.sh
}

scratch=$(mktemp -d)
trap 'rm -rf "$log" "$scratch"' EXIT
main

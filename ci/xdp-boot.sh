#!/bin/sh
# Runs in a container that ci/xdp.sh boots: the service loads the program of the feature xdp with what its drop-in adds, keeps what
# the unit has, and takes the program away when it stops or is killed.
set -eu

unit=miredo-server
configuration=/etc/miredo/miredo-server.conf

main() {
    ip link set lo up
    ip link add server type veth peer name client
    ip address add 192.0.2.1/24 dev server
    ip address add 192.0.2.2/24 dev server
    ip link set server up
    ip link set client up
    printf 'ServerBindAddress 192.0.2.1\nAccelerate auto\n' >"$configuration"
    adds_to_the_unit
    systemctl start "$unit" || failed 'does not start'
    await 'the program at the interface' attached
    await 'the driver in the status' driver
    worker_has_none
    echo 'ok: attached'
    printf 'ServerBindAddress 192.0.2.1\n' >"$configuration"
    systemctl reload "$unit" || failed 'does not reload'
    await 'an interface without the program' detached
    printf 'ServerBindAddress 192.0.2.1\nAccelerate server\n' >"$configuration"
    systemctl reload "$unit" || failed 'does not reload'
    await 'the program at the interface again' attached
    echo 'ok: reloaded'
    systemctl stop "$unit" || failed 'does not stop'
    detached || failed 'leaves its program'
    systemctl start "$unit" || failed 'does not start again'
    await 'the program at the interface' attached
    # Without a restart, which would attach it again.
    mkdir -p "/run/systemd/system/$unit.service.d"
    printf '[Service]\nRestart=no\n' >"/run/systemd/system/$unit.service.d/once.conf"
    systemctl daemon-reload
    systemctl kill --kill-whom=main --signal=KILL "$unit"
    await 'an interface without the program of a killed server' detached
    echo 'ok: gone'
}

# A drop-in that replaced the lists would leave the worker without its privileges, or the unit without its filter.
adds_to_the_unit() {
    has CapabilityBoundingSet cap_bpf cap_perfmon cap_net_admin cap_net_raw cap_sys_chroot cap_setgid cap_setuid cap_kill cap_setpcap
    has SystemCallFilter bpf chroot seccomp landlock_restrict_self recvmmsg
    ! systemctl show --property=SystemCallFilter "$unit" | grep -w ptrace || failed 'a filter that lets everything pass'
}

# has PROPERTY WORD...
has() {
    property=$1
    shift
    systemctl show --property="$property" --value "$unit" | tr ' ' '\n' >/tmp/property
    for word; do
        grep -qx "$word" /tmp/property || failed "$property without $word"
    done
}

attached() {
    ip link show dev server | grep -q 'prog/xdp'
}

detached() {
    ! attached
}

driver() {
    /usr/local/sbin/miredo-server --status | grep -q '^driver .*server (generic)'
}

# Whoever reads the network holds neither the program nor its maps.
worker_has_none() {
    monitor=$(systemctl show --property=MainPID --value "$unit")
    worker=$(pgrep --parent "$monitor" --full -- ' --worker ')
    [ -n "$(descriptors "$monitor" '*bpf*')" ] || failed 'the monitor holds no link'
    # That they can be seen.
    [ -n "$(descriptors "$worker" 'socket:*')" ] || failed 'the worker has no socket'
    [ -z "$(descriptors "$worker" '*bpf*')" ] || failed 'the worker has a descriptor of the program'
    grep -qx 'CapPrm:.0*' "/proc/$worker/status" || failed 'the worker has a capability'
}

# descriptors PROCESS PATTERN: those that are links to such a name.
descriptors() {
    find "/proc/$1/fd" -lname "$2"
}

# await WHAT COMMAND...: waits until the command succeeds.
await() {
    what=$1
    shift
    for _ in $(seq 100); do
        ! "$@" || return 0
        sleep 0.1
    done
    failed "$what does not come"
}

failed() {
    systemctl status --no-pager --full "$unit" || :
    journalctl --no-pager --unit="$unit" || :
    ip -d link show
    echo "FAILED: $1"
    exit 1
}

main

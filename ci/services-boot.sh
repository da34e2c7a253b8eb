#!/bin/sh
# Runs in a container that ci/services.sh boots: starts, reloads and stops the server as an administrator does.
set -eu

configuration=/etc/miredo/miredo-server.conf
sample=$configuration.sample
[ -e "$sample" ] || sample=/usr/share/doc/miredo-server/examples/miredo-server.conf.sample

main() {
    ip link set lo up
    ip address replace 192.0.2.1/32 dev lo
    ip address replace 192.0.2.2/32 dev lo
    configure
    for unit in miredo-server miredo-server-unprivileged; do
        starts "$unit"
        confined "$unit"
        reloads "$unit"
        refuses_nonsense "$unit"
        comes_back "$unit"
        stops "$unit"
        says_what_is_wrong "$unit"
        announces "$unit"
        gives_up_on_a_faulty_configuration "$unit"
        takes_options "$unit"
        echo "ok: $unit"
    done
    takes_a_credential miredo-server-unprivileged
    echo 'ok: credential'
}

# Under a facility that no unit has by itself.
configure() {
    cp "$sample" "$configuration"
    echo 'SyslogFacility local3' >>"$configuration"
}

starts() {
    systemctl start "$1" || failed "$1" 'does not start'
    # When the command returns, the server serves: both sockets exist.
    for address in 192.0.2.1 192.0.2.2; do
        ss -Hlun "src $address:3544" | grep -q . || failed "$1" "not bound to $address when started"
    done
    monitor=$(systemctl show --property=MainPID --value "$1")
    [ "$monitor" = "$(cat /run/miredo-server/miredo-server.pid)" ] || failed "$1" 'another main process than the monitor'
    [ -n "$(worker)" ] || failed "$1" 'no worker'
    [ "$monitor" = "$(cat /var/run/miredo-server.pid)" ] || failed "$1" 'no process ID where the manual says'
    systemctl show --property=StatusText "$1" | grep -q 'serving 192.0.2.1' || failed "$1" 'does not tell systemd what it serves'
    # 19: local3.
    await 'the facility of the configuration' logged '^serving 192.0.2.1' --unit="$1" SYSLOG_FACILITY=19
}

# The worker has no privilege. In the unit without root, the monitor is not root either.
confined() {
    worker=$(worker)
    for line in 'CapPrm:.0*' 'CapEff:.0*' 'CapAmb:.0*' 'NoNewPrivs:.1' 'Seccomp:.2'; do
        grep -qx "$line" "/proc/$worker/status" || failed "$1" "worker: not $line"
    done
    ! grep -q '^[UG]id:.*\<0\>' "/proc/$worker/status" || failed "$1" 'the worker is root'
    case $1 in
        *-unprivileged)
            ! grep -q '^[UG]id:.*\<0\>' "/proc/$monitor/status" || failed "$1" 'the monitor is root'
            ;;
        *)
            user=$(ps -o user= -p "$worker")
            case $user in
                miredo | _miredo) ;;
                *) failed "$1" "serves as $user" ;;
            esac
            # The root directory of the worker is the empty one.
            [ "$(readlink "/proc/$worker/root")" = /run/miredo-server/empty ] || failed "$1" 'not in its empty directory'
            ;;
    esac
}

reloads() {
    before=$(worker)
    systemctl reload "$1" || failed "$1" 'does not reload'
    await 'a new worker' another_worker
    [ "$monitor" = "$(systemctl show --property=MainPID --value "$1")" ] || failed "$1" 'another monitor after a reload'
    await 'a line about the reload' logged 'configuration reloaded' --unit="$1"
}

refuses_nonsense() {
    before=$(worker)
    echo 'InterfaceMTU 1' >>"$configuration"
    ! systemctl reload "$1" || failed "$1" 'reloads nonsense'
    await 'a line about the fault' logged 'InterfaceMTU' --unit="$1"
    [ "$before" = "$(worker)" ] || failed "$1" 'another worker after a refused reload'
    configure
}

comes_back() {
    kill -KILL "$monitor"
    await 'a new monitor' another_monitor "$1"
}

stops() {
    systemctl stop "$1" || failed "$1" 'does not stop'
    [ "$(systemctl show --property=Result --value "$1")" = success ] || failed "$1" 'does not stop well'
    [ ! -e /run/miredo-server ] || failed "$1" 'leaves its directory'
    [ ! -L /var/run/miredo-server.pid ] || failed "$1" 'leaves a link to its process ID'
    ! ss -Hlun 'sport 3544' | grep -q . || failed "$1" 'leaves sockets'
}

says_what_is_wrong() {
    ip address del 192.0.2.2/32 dev lo
    ! systemctl start "$1" 2>/dev/null || failed "$1" 'starts without its address'
    await 'a line about what is wrong' logged 'bind 192.0.2.2:3544' --unit="$1"
    # The address may come.
    [ "$(systemctl show --property=SubState --value "$1")" = auto-restart ] || failed "$1" 'does not try again'
    systemctl stop "$1"
    ip address replace 192.0.2.2/32 dev lo
}

# The health check of teredo-anycast(7) starts with the server. It withdraws the prefix when it is killed, and before the server stops.
announces() {
    printf 'ADDRESS=192.0.2.1\nPREFIX=192.0.2.0/30\n' >/etc/miredo/anycast.conf
    systemctl --quiet enable teredo-anycast
    systemctl start "$1"
    await 'the prefix' announced
    systemctl kill --kill-whom=main --signal=KILL teredo-anycast
    await 'a withdrawal' withdrawn
    await 'the prefix again' announced
    systemctl stop "$1" || failed "$1" 'does not stop'
    withdrawn || failed teredo-anycast 'leaves its route'
    journalctl --sync
    journalctl --quiet --output=cat --unit="$1" --unit=teredo-anycast --grep='^stopped|withdrawn: stopped' | tail -n 2 |
        head -n 1 | grep -q 'withdrawn: stopped' || failed teredo-anycast 'stops after the server'
    systemctl --quiet disable teredo-anycast
    rm /etc/miredo/anycast.conf
}

announced() {
    ip -4 route show type blackhole | grep -q '^blackhole 192\.0\.2\.0/30'
}

withdrawn() {
    ! announced
}

# What restarts for ever fills the log.
gives_up_on_a_faulty_configuration() {
    # The process ID file of a server that was started by hand is not the unit's.
    echo 1 >/var/run/miredo-server.pid
    echo 'InterfaceMTU 1' >>"$configuration"
    ! systemctl start "$1" 2>/dev/null || failed "$1" 'starts with a faulty configuration'
    [ "$(systemctl show --property=ExecMainStatus --value "$1")" -eq 78 ] || failed "$1" 'another status than EX_CONFIG'
    [ "$(systemctl is-failed "$1")" = failed ] || failed "$1" 'tries a faulty configuration again'
    [ -e /var/run/miredo-server.pid ] || failed "$1" "removes another server's process ID file"
    rm /var/run/miredo-server.pid
    systemctl reset-failed "$1"
    configure
}

# From the environment file alone: there is no configuration at the usual place.
takes_options() {
    cp "$configuration" /etc/elsewhere.conf
    rm "$configuration"
    mkdir -p /etc/default
    [ ! -e /etc/default/miredo-server ] || mv /etc/default/miredo-server /root/default
    printf 'OPTIONS="-c /etc/elsewhere.conf"\nPIDFILE=/run/elsewhere.pid\n' >/etc/default/miredo-server
    systemctl start "$1" || failed "$1" 'does not start with options'
    [ "$(systemctl show --property=MainPID --value "$1")" = "$(cat /run/elsewhere.pid)" ] || failed "$1" 'not the PIDFILE asked for'
    systemctl reload "$1" || failed "$1" 'does not reload with options'
    systemctl stop "$1"
    [ ! -L /run/elsewhere.pid ] || failed "$1" 'leaves a link to its process ID'
    rm /etc/default/miredo-server
    [ ! -e /root/default ] || mv /root/default /etc/default/miredo-server
    mv /etc/elsewhere.conf "$configuration"
}

worker() {
    pgrep --parent "$monitor" --full -- ' --worker '
}

another_worker() {
    now=$(worker) && [ "$(echo "$now" | wc -l)" -eq 1 ] && [ "$now" != "$before" ]
}

another_monitor() {
    now=$(systemctl show --property=MainPID --value "$1")
    [ "$(systemctl is-active "$1")" = active ] && [ "$now" -ne 0 ] && [ "$now" -ne "$monitor" ]
}

# logged TEXT OPTION...: whether the journal has such a line.
logged() {
    text=$1
    shift
    journalctl --quiet --grep="$text" "$@" | grep -q .
}

# await WHAT COMMAND...: waits until the command succeeds. systemctl does not tell when a signal has had its effect, and a line may
# reach the journal after what it tells.
await() {
    what=$1
    shift
    for _ in $(seq 100); do
        ! "$@" || return 0
        sleep 0.1
    done
    failed "$what" 'does not come'
}

# A file of keys that systemd hands to the service, as miredo-server.conf(5) describes.
takes_a_credential() {
    (umask 077 && echo 'client hmac-sha1 00112233445566778899aabbccddeeff' >/etc/miredo/keys)
    cp "$configuration" /root/configuration
    printf 'SecureQualification required\nSecureQualificationKeys /run/credentials/%s.service/keys\n' "$1" >>"$configuration"
    mkdir -p "/etc/systemd/system/$1.service.d"
    # systemd 252 hides the credentials from the command that checks the configuration before a reload.
    # shellcheck disable=SC2016 # for systemd to expand
    printf '[Service]\nLoadCredential=keys:/etc/miredo/keys\nExecReload=\nExecReload=kill -HUP $MAINPID\n' \
        >"/etc/systemd/system/$1.service.d/keys.conf"
    systemctl daemon-reload
    systemctl start "$1" || failed "$1" 'does not start with a credential'
    stat -c "credential: %U:%G %a" "/run/credentials/$1.service/keys"
    since=$(date +%s)
    systemctl reload "$1" || failed "$1" 'does not reload with a credential'
    await 'a reload with a credential' logged 'configuration reloaded' --unit="$1" --since="@$since"
    systemctl stop "$1"
    rm "/etc/systemd/system/$1.service.d/keys.conf" /etc/miredo/keys
    systemctl daemon-reload
    mv /root/configuration "$configuration"
}

failed() {
    systemctl status --no-pager --full "$1" || :
    journalctl --no-pager --unit="$1" || :
    echo "FAILED: $1: $2"
    exit 1
}

main

#!/bin/sh
# usage: ci/system-service.sh PROGRAM
# Tests, as root, start, confinement, an echo request with a foreign source on the wire, load, reload, stop, what jails of FreeBSD
# allow, and the service script. Adds three documentation addresses to the loopback interface and creates two interfaces; removes
# them at the end.
# Its author has run it on Linux only. Sources: ps(1), fstat(1), lastcomm(1), rc.subr(8), rcctl(8), launchctl(1) of each system.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=ci/wire.sh
. ci/wire.sh

program=${1:?usage: ci/system-service.sh PROGRAM}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/miredo-service.XXXXXXXXXX")
pidfile=$scratch/pid
config=$scratch/miredo-server.conf

primary=192.0.2.1
secondary=192.0.2.2
client=192.0.2.3

# The Teredo address of a client seen at 192.0.2.3 port 50000 (RFC 4380 section 4), and an echo request from it to
# 2001:db8::2: IPv6 header, hop limit 255, ICMPv6 with its checksum.
source=2001:0:c000:201:0:3caf:3fff:fdfc
echo_request='\140\000\000\000\000\020\072\377'\
'\040\001\000\000\300\000\002\001\000\000\074\257\077\377\375\374'\
'\040\001\015\270\000\000\000\000\000\000\000\000\000\000\000\002'\
'\200\000\054\214\115\123\000\001\164\145\162\145\144\157\060\061'

main() {
    trap undo EXIT
    trap 'exit 1' HUP INT TERM
    forwarding >"$scratch/forwarding"
    run 'addresses' addresses_up "$primary" "$secondary" "$client"
    run 'wire' wire_up
    run 'forwarding' set_forwarding 1
    run 'start' start_server
    run 'confinement' confined
    run 'echo request from a foreign source' foreign_source
    run 'counters on SIGINFO' counters
    run 'two workers under load, and reload' load
    run 'reload' reload
    run 'reload, faulty' reload_faulty
    run 'stop' stop_server
    run 'jails' jails
    run 'service script' service_script
}

undo() {
    set +e
    [ ! -s "$pidfile" ] || kill "$(cat "$pidfile")"
    set_forwarding "$(cat "$scratch/forwarding")"
    wire_down
    addresses_down "$primary" "$secondary" "$client"
    [ ! -e "$scratch/accounts" ] || accton
    [ ! -e "$scratch/jail" ] || jails_down
    rm -rf "$scratch" "$log"
} >/dev/null 2>&1

start_server() {
    configure "$config"
    if [ "$(uname -s)" = OpenBSD ]; then
        : >"$scratch/accounts"
        accton "$scratch/accounts"
    fi
    "$program" -n -c "$config"
    "$program" -f -u nobody -c "$config" -p "$pidfile" 2>"$scratch/log" &
    eventually 'a worker serves' worker_of_nobody
}

# configure FILE
configure() {
    printf 'ServerBindAddress %s\nServerBindAddress2 %s\n' "$primary" "$secondary" >"$1"
}

confined() {
    worker=$(worker)
    ps -o pid= -o uid= -o ruid= -o svuid= -o gid= -o rgid= -o svgid= -p "$worker" | tee "$scratch/ids"
    # Real, effective and saved ids are the same, and are not root's.
    awk '$2 == 0 || $2 != $3 || $3 != $4 || $5 == 0 || $5 != $6 || $6 != $7 { exit 1 }' "$scratch/ids"
    case $(uname -s) in
        Linux) [ "$(readlink "/proc/$worker/root")" != / ] ;;
        Darwin) lsof -a -p "$worker" -d rtd | grep -w rtd ;;
        *) own_root "$worker" ;;
    esac
    if [ "$(uname -s)" = OpenBSD ]; then
        # "p": has called pledge(2).
        ps -o state= -p "$worker" | grep p
        ps -o state= -p "$(cat "$pidfile")" | grep p
    fi
}

# own_root PROCESS: the root directory of the process is not that of the system, which FreeBSD lists too.
own_root() {
    # shellcheck disable=SC2012 # one name, and known
    root=$(ls -di / | awk '{ print $1 }')
    # Columns 4, 5 and 6: FD, MOUNT, INUM.
    fstat -p "$1" | awk -v "root=$root" '
        $4 == "root" && !($5 == "/" && $6 == root) { print; found = 1 }
        END { exit !found }'
}

# The worker relays the echo request (RFC 4380 section 5.3.1) from an address that no interface of this host has.
foreign_source() {
    tcpdump -l -n -i "$far" -c 1 "ip6 and src host $source and dst host 2001:db8::2" \
        >"$scratch/seen" 2>"$scratch/tcpdump" &
    tcpdump=$!
    eventually 'tcpdump listens' grep -q listening "$scratch/tcpdump"
    # nc(1) gets no answer; its exit status does not matter.
    # shellcheck disable=SC2059 # the packet is the format: octal escapes
    printf "$echo_request" | nc -u -s "$client" -p 50000 -w 1 "$primary" 3544 || :
    if ! (eventually 'the echo request is on the wire' gone "$tcpdump"); then
        kill "$tcpdump"
        cat "$scratch/tcpdump" "$scratch/log"
        return 1
    fi
    grep -i 'echo request' "$scratch/seen"
}

# Every question has its answer, also while workers are replaced. On OpenBSD with accounting: see stop_server.
load() {
    cargo test --locked --test load -- --nocapture
}

counters() {
    if [ "$(uname -s)" = Linux ]; then
        echo 'no SIGINFO on Linux'
        return
    fi
    lines=$(wc -l <"$scratch/log")
    kill -INFO "$(cat "$pidfile")"
    eventually 'a line of counters is logged' longer "$lines"
    tail -n 1 "$scratch/log"
}

reload() {
    monitor=$(cat "$pidfile")
    before=$(worker)
    echo 'InterfaceMTU 1400' >>"$config"
    kill -HUP "$monitor"
    eventually 'another worker serves, alone' replaced "$before"
    [ "$(cat "$pidfile")" = "$monitor" ]
}

reload_faulty() {
    before=$(worker)
    echo 'Prefix 192.0.2.0' >>"$config"
    kill -HUP "$(cat "$pidfile")"
    eventually 'the fault is logged' grep -q 'not reloaded' "$scratch/log"
    after=$(worker)
    echo "worker $before, then $after"
    [ "$after" = "$before" ]
}

stop_server() {
    monitor=$(cat "$pidfile")
    worker=$(worker)
    kill -TERM "$monitor"
    eventually 'the monitor is gone' gone "$monitor"
    eventually 'the worker is gone' gone "$worker"
    [ ! -e "$pidfile" ]
    cat "$scratch/log"
    if [ -e "$scratch/accounts" ]; then
        accton
        # Flags P and U: the process violated pledge(2) or unveil(2). The name may be cut.
        lastcomm -f "$scratch/accounts" | grep '^miredo-ser' | tee "$scratch/commands"
        [ -s "$scratch/commands" ]
        if awk '{ print $2 }' "$scratch/commands" | grep '[PU]'; then return 1; fi
    fi
}

# What a jail lacks is named, and what lacks nothing serves (jail(8)).
jails() {
    if [ "$(uname -s)" != FreeBSD ]; then
        echo "no jails on $(uname -s)"
        return
    fi
    configure "$config"
    mkdir "$scratch/jail"
    echo 'without a network of its own:'
    jailed "$program" "$config" path=/ ip4=inherit ip6=inherit
    grep 'root of a jail needs vnet and allow.raw_sockets' "$scratch/jailed"
    echo 'with a root directory of its own, and no /var/empty in it:'
    mount -t nullfs -o ro / "$scratch/jail"
    mount -t tmpfs tmpfs "$scratch/jail/var"
    mount -t tmpfs tmpfs "$scratch/jail/tmp"
    mkdir "$scratch/jail/var/run"
    cp "$program" "$config" "$scratch/jail/tmp"
    jailed "/tmp/${program##*/}" "/tmp/${config##*/}" "path=$scratch/jail" vnet allow.raw_sockets mount.devfs
    grep 'in a jail, make /var/empty' "$scratch/jailed"
    echo 'with all of it:'
    mkdir "$scratch/jail/var/empty"
    jail -c name=miredo54 path=/ vnet allow.raw_sockets persist
    jexec miredo54 ifconfig lo0 inet "$primary" netmask 255.255.255.255 up
    jexec miredo54 ifconfig lo0 inet "$secondary" netmask 255.255.255.255 alias
    jexec miredo54 "$program" -f -u nobody -c "$config" -p "$pidfile" 2>"$scratch/log" &
    eventually 'a worker serves in a jail' worker_of_nobody
    kill -TERM "$(cat "$pidfile")"
    wait
    jails_down
}

# jailed PROGRAM CONFIGURATION PARAMETER...: runs the program in such a jail, where it has to say what it lacks.
jailed() {
    in_jail=$1 its_config=$2
    shift 2
    # The addresses of a network of its own; without one, ifconfig(8) may not add them.
    # shellcheck disable=SC2016 # for the shell in the jail to expand
    jail -c name=miredo54 "$@" command=/bin/sh -c '
        ifconfig lo0 inet "$1" netmask 255.255.255.255 up
        ifconfig lo0 inet "$2" netmask 255.255.255.255 alias
        shift 2
        exec "$@"' sh "$primary" "$secondary" "$in_jail" -f -u nobody -c "$its_config" -p /tmp/miredo54.pid \
        >"$scratch/jailed" 2>&1 || :
    cat "$scratch/jailed"
    if grep 'serving' "$scratch/jailed"; then return 1; fi
}

jails_down() {
    if jls -j miredo54; then jail -r miredo54; fi
    for directory in tmp var dev ''; do
        umount "$scratch/jail/$directory" || :
    done
    rmdir "$scratch/jail"
} >/dev/null 2>&1

service_script() {
    case $(uname -s) in
        Darwin)
            launchd
            return
            ;;
        FreeBSD) sysconf=/usr/local/etc directory=/usr/local/etc/rc.d ;;
        OpenBSD) sysconf=/etc directory=/etc/rc.d ;;
        NetBSD) sysconf=/usr/pkg/etc directory=/etc/rc.d ;;
        *)
            echo "no rc.d on $(uname -s); ci/services.sh starts systemd's"
            return
            ;;
    esac
    # Do not overwrite a configuration or script of the administrator.
    [ ! -e "$directory/miredo_server" ]
    [ ! -e "$sysconf/miredo/miredo-server.conf" ]
    make all
    make install "SERVICEDIR=$directory"
    mkdir -p "$sysconf/miredo"
    configure "$sysconf/miredo/miredo-server.conf"
    for action in start status reload status stop; do
        rc "$action"
    done
    if rc status; then return 1; fi
    rm "$sysconf/miredo/miredo-server.conf"
    make uninstall "SERVICEDIR=$directory"
}

# rc ACTION: does it even if the service is not enabled.
rc() {
    case $(uname -s)-$1 in
        OpenBSD-status) rcctl check miredo_server ;;
        OpenBSD-*) rcctl -f "$1" miredo_server ;;
        *) "$directory/miredo_server" "one$1" ;;
    esac
}

launchd() {
    plist=/Library/LaunchDaemons/miredo-server.plist
    sysconf=/usr/local/etc
    [ ! -e "$plist" ]
    [ ! -e "$sysconf/miredo/miredo-server.conf" ]
    make all
    make install
    mkdir -p "$sysconf/miredo"
    configure "$sysconf/miredo/miredo-server.conf"
    launchctl bootstrap system "$plist"
    pidfile=/var/run/miredo-server.pid
    eventually 'a worker serves' worker_of_nobody
    before=$(worker)
    launchctl kill SIGHUP system/miredo-server
    eventually 'another worker serves, alone' replaced "$before"
    monitor=$(cat "$pidfile")
    launchctl bootout system/miredo-server
    eventually 'the monitor is gone' gone "$monitor"
    rm "$sysconf/miredo/miredo-server.conf"
    make uninstall
}

worker() {
    pgrep -P "$(cat "$pidfile")"
}

worker_of_nobody() {
    [ -s "$pidfile" ] && worker=$(worker) && [ "$(ps -o user= -p "$worker" | tr -d ' ')" = nobody ]
}

replaced() {
    now=$(worker) && [ -n "$now" ] && [ "$now" != "$1" ] && gone "$1"
}

longer() {
    [ "$(wc -l <"$scratch/log")" -gt "$1" ]
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

# eventually WHAT COMMAND...: waits at most ten seconds until the command succeeds.
eventually() {
    what=$1
    shift
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ]; then
            cat "$scratch/log"
            echo "never happened: $what"
            return 1
        fi
        sleep 0.1
    done
}

PATH=$PATH:/usr/sbin:/sbin
main

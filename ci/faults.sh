#!/bin/sh
# usage: ci/faults.sh [quick | CALL...]
# Lets one system call after another fail, in one process of the server after another, while it starts, reloads and stops. Holds
# it to three promises: no worker serves unconfined; nothing hangs; and the command never returns 0, nor does a reload leave the
# host, without a server that answers. As root, on Linux, in namespaces of its own. Takes a quarter of an hour, or a minute and a
# half with "quick", which tries every call once, with one error. Of named calls only those are tried.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

# How long anything may take, in seconds: longer than the server gives the process that reads the configuration.
patience=40

main() {
    if [ "$(id -u)" -ne 0 ] || [ "$(uname)" != Linux ]; then
        skip 'faults' 'wants root, on Linux'
        return
    fi
    check 'Debian packages' packages g++ iproute2 procps strace util-linux
    check 'build' cargo build --locked -p miredo-server
    built=$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd)
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/miredo-faults.XXXXXXXXXX")
    trap 'rm -rf "$log" "$scratch"' EXIT
    export built scratch
    # With the first process of the namespace, all others end.
    run 'faults' unshare --net --mount --pid --fork --kill-child --mount-proc sh ci/faults.sh --in-namespace "$@"
}

in_namespace() {
    case ${1:-} in
        quick) most=1 faults=error=EPERM wanted='' more='' ;;
        *) most=6 faults='error=EPERM error=ENOMEM' wanted=$* more='reload-reader reload-worker' ;;
    esac
    ip link set lo up
    ip address add 192.0.2.1/24 dev lo
    ip address add 192.0.2.2/24 dev lo
    ip -6 route add default dev lo
    mount -t tmpfs none "$scratch"
    echo 'ServerBindAddress 192.0.2.1' >"$scratch/conf"
    install_wrapper
    total=0 failures=0
    for phase in start-command start-monitor start-reader start-worker reload-monitor stop-monitor stop-worker $more; do
        every_fault "${phase%-*}" "${phase#*-}"
    done
    echo "$total faults, $failures of them with a promise broken"
    [ "$failures" -eq 0 ] && [ "$total" -gt 0 ]
}

# Every process of the server but the first executes the file that the first one was executed from. So the first is executed from
# a descriptor, and under its name lies a script, which puts strace(1) around the next reader or worker if it is told to.
install_wrapper() {
    mkdir "$scratch/bin"
    cp "$built/miredo-server" "$built/teredo-probe" "$scratch/bin"
    cp "$built/miredo-server" "$scratch/miredo-server"
    exec 9<"$scratch/miredo-server"
    program=/proc/$$/fd/9
    cat >"$scratch/wrapper" <<END
#!/bin/sh
if [ -e "$scratch/traced" ] && read -r process options <"$scratch/traced" && [ "--\$process" = "\$1" ]; then
    rm "$scratch/traced"
    exec $(command -v strace) -D -f -qq -o "$scratch/trace" \$options "$scratch/bin/miredo-server" "\$@"
fi
exec "$scratch/bin/miredo-server" "\$@"
END
    chmod 755 "$scratch/wrapper"
    mount --bind "$scratch/wrapper" "$scratch/miredo-server"
}

# every_fault PHASE PROCESS
every_fault() {
    begin=$(date +%s) tried=0 met=0
    said=$scratch/said
    one "$1" "$2" -e trace=all >"$said"
    if [ -s "$said" ]; then
        cat "$said" "$scratch/log"
        fail "$1 of the $2 without a fault"
    fi
    points <"$scratch/trace" >"$scratch/points"
    while read -r call number; do
        for fault in $faults $(pretended "$call"); do
            one "$1" "$2" -e "trace=$call" -e "inject=$call:$fault:when=$number" >"$said"
            tried=$((tried + 1))
            ! grep -q '(INJECTED)$' "$scratch/trace" || met=$((met + 1))
            [ -s "$said" ] || continue
            failures=$((failures + 1))
            echo "$1 of the $2, $call $number, $fault: $(tr '\n' ';' <"$said")"
            sed 's/^/    /' "$scratch/log"
        done
    done <"$scratch/points"
    echo "$1 of the $2: $tried faults, $met of them met, $(($(date +%s) - begin)) s"
    total=$((total + tried))
    # What no process meets shows nothing.
    [ "$((met * 2))" -ge "$tried" ] || fail 'few faults were met: is this strace(1) able to inject them?'
}

# pretended CALL: what gives privileges up may also do nothing and say that it did.
pretended() {
    case $1 in
        setgroups | setresgid | setresuid | chroot | capset | prctl) echo retval=0 ;;
    esac
}

# points: reads a trace; prints each call to let fail, and which one of those that a thread makes. Of what the
# dynamic linker does, which ends before the first poll(2), the first call of each name.
points() {
    awk -v most="$most" -v wanted=" $wanted " -v loaded="${tracer:+1}" '
        $2 !~ /^[a-z][a-z0-9_]*\(/ { next }
        {
            call = $2
            sub(/\(.*/, "", call)
            if (first == "") first = $1
            number = ++made[$1, call]
            if ($1 == first && call ~ /^p?poll$/) loaded = 1
            # They do not return, or are the way back from a signal.
            if (call ~ /^(execve|exit|exit_group|rt_sigreturn|restart_syscall)$/) next
            # They cannot fail; or do what they are to do though they fail, as close(2) does; or leave a thread asleep that the
            # standard library takes for woken, and no program can tell.
            cannot = call ~ /^(get(p|t|pp)id|gete?[ug]id|umask|rt_sigprocmask|close|futex)$/
            if (wanted ~ /^ *$/ ? cannot : index(wanted, " " call " ") == 0) next
            if (!loaded && (most == 1 || number > 1)) next
            if (($1, call, loaded) in seen && seen[$1, call, loaded] == most) next
            seen[$1, call, loaded]++
            if (most == 1 ? !(call in told) : !((call, number) in told)) print call, number
            told[call] = told[call, number] = 1
        }'
}

# one PHASE PROCESS OPTION...: what is wrong with a phase in which strace(1), with these options, has that process.
one() {
    phase=$1 process=$2
    shift 2
    rm -f "$scratch/pid" "$scratch/traced" "$scratch/status" "$scratch/trace"
    : >"$scratch/log"
    tracer=
    case $phase-$process in
        start-command) in_background strace -D -f -qq -b execve -o "$scratch/trace" "$@" ;;
        start-monitor) in_foreground strace -D -f -qq -b execve -o "$scratch/trace" "$@" ;;
        start-*) echo "$process $*" >"$scratch/traced" && in_background ;;
        *) in_foreground ;;
    esac
    judge_start
    if [ "$status" = 0 ]; then
        case $phase-$process in
            start-*) ;;
            *-monitor) attach "$(monitor)" "$@" ;;
            stop-worker) attach "$(workers)" "$@" ;;
            *) echo "$process $*" >"$scratch/traced" ;;
        esac
        [ "$phase" != reload ] || reload
        signal TERM || echo 'ended by itself'
    fi
    within gone || echo 'a process is left'
    [ -z "$tracer" ] || wait "$tracer" || true
    gone || kill -KILL -1
}

# in_background [COMMAND...]: what returns when the server serves.
in_background() {
    status=0
    timeout "$patience" "$@" "$program" -c "$scratch/conf" -p "$scratch/pid" </dev/null >"$scratch/log" 2>&1 || status=$?
}

# in_foreground [COMMAND...]
in_foreground() {
    (
        status=0
        "$@" "$program" -f -c "$scratch/conf" -p "$scratch/pid" </dev/null >"$scratch/log" 2>&1 || status=$?
        echo "$status" >"$scratch/status"
    ) &
    status=0
    within decided || status=124
    [ ! -s "$scratch/status" ] || status=$(cat "$scratch/status")
}

decided() {
    [ -s "$scratch/status" ] || grep -q 'serving 192' "$scratch/log"
}

judge_start() {
    case $status in
        124) echo 'hangs' ;;
        0) judge_serving ;;
    esac
}

judge_serving() {
    within answers || echo 'does not answer'
    within all_confined || echo 'serves unconfined'
}

# attach PID OPTION...: has strace trace a process that runs.
attach() {
    attached=$1
    shift
    strace -f -qq -b execve -o "$scratch/trace" "$@" -p "$attached" 2>/dev/null &
    tracer=$!
    within traced "$attached" || echo 'strace does not attach'
}

traced() {
    ! cat "/proc/$1/task/"*/status 2>/dev/null | grep -q '^TracerPid:[[:space:]]*0$'
}

# A reload with the fault, then one without.
reload() {
    ask_reload
    within reloads || echo 'hangs'
    judge_serving
    [ -z "$tracer" ] || kill "$tracer" 2>/dev/null || true
    ask_reload || return 0
    within reloads || echo 'reloads no more'
    judge_serving
}

ask_reload() {
    before=$(workers) outcomes=$(outcomes)
    signal HUP
}

# Whether a reload has ended, well or not; the line that says so may be what fails.
reloads() {
    [ "$(outcomes)" -gt "$outcomes" ] && return
    case $(workers) in
        "$before" | '' | *[!0-9]*) return 1 ;;
    esac
}

outcomes() {
    grep -c 'configuration reloaded\|not reloaded' "$scratch/log" || true
}

# signal NAME: sends it to the monitor.
signal() {
    kill -s "$1" "$(monitor)" 2>/dev/null
}

monitor() {
    cat "$scratch/pid" 2>/dev/null
}

answers() {
    "$scratch/bin/teredo-probe" --timeout 2 192.0.2.1 </dev/null >/dev/null 2>&1
}

workers() {
    pgrep -f -x "$scratch/bin/miredo-server --worker .*"
}

all_confined() {
    for worker in $(workers); do
        confined "$worker" || return 1
    done
}

# confined PID: every thread is one of an ordinary user without groups and capabilities, none to be had, in an empty directory.
confined() {
    nobody="$(id -u nobody)" group="$(id -g nobody)"
    [ "$(readlink "/proc/$1/root")" != / ] || return 1
    for thread in "/proc/$1/task/"*/status; do
        [ "$(sed -n 's/[[:space:]]\{1,\}/ /g; s/ $//; /^\(Uid\|Gid\|Groups\|Cap[IPEA][a-z]*\|NoNewPrivs\):/p' "$thread")" = \
            "Uid: $nobody $nobody $nobody $nobody
Gid: $group $group $group $group
Groups:
CapInh: 0000000000000000
CapPrm: 0000000000000000
CapEff: 0000000000000000
CapAmb: 0000000000000000
NoNewPrivs: 1" ] || return 1
        # Where a filter of system calls is refused, or known for no such processor, a worker serves without.
        case ${call:-}-$(uname -m) in
            seccomp-* | *-s390x) ;;
            *) grep -q '^Seccomp:[[:space:]]*2$' "$thread" || return 1 ;;
        esac
    done 2>/dev/null
}

# Nothing runs but this. Dead ones that nobody has asked for yet are gone, too.
gone() {
    ps -e -o stat= -o comm= | awk '$1 !~ /^Z/ && $2 !~ /^(sh|ps|awk)$/ { left = 1 } END { exit left }'
}

# within COMMAND...: whether it comes true.
within() {
    left=$((patience * 20))
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.05
    done
}

if [ "${1:-}" = --in-namespace ]; then
    shift
    in_namespace "$@"
else
    main "$@"
fi

#!/bin/sh
# Tests make install with two makes. For each system, the files are those of its packing list. The program, the pages and the
# scripts have the paths that were set. An existing configuration is not changed. The installed server finds its files when it is
# started without options.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

# No system has one of these as default.
settings() {
    prefix=$scratch/p
    echo "PREFIX=$prefix SYSCONFDIR=$prefix/conf LOCALSTATEDIR=$prefix/var EMPTYDIR=$prefix/var/nothing RUNUSER=daemon"
}

main() {
    check 'Debian packages' packages bmake fish iproute2 procps zsh
    progress 'build' make all
    for make in make bmake; do
        for system in Linux FreeBSD OpenBSD NetBSD Darwin; do
            check "$make install, list of $system" lists "$make" "$system"
        done
        check "$make install and uninstall, configuration" configuration "$make"
        check "$make install, modes with umask 077" modes "$make"
        check "$make install, drop-in of the feature xdp" drop_in "$make"
    done
    check 'not with what was built for other directories or features, nor with odd ones' refusal
    # shellcheck disable=SC2046 # words
    progress 'build anew and install' make install $(settings)
    check 'paths' paths
    check 'completions' completions
    run 'the installed server, without options' serves
}

lists() {
    has "$1" || return 0
    rm -rf "$scratch/d"
    # The program is always for this machine.
    # shellcheck disable=SC2046 # words
    "$1" install "DESTDIR=$scratch/d" "SYSTEM=$2" $(built_like "$2")
    (cd "$scratch/d" && find . -type f | sed 's|^\.||' | LC_ALL=C sort) >"$scratch/found"
    packing_list "$2" | LC_ALL=C sort | diff - "$scratch/found"
}

# The directories for which the program of this test was built, so that it is not built again for each system.
built_like() {
    [ "$1" = Linux ] || echo 'SYSCONFDIR=/etc EMPTYDIR=/var/empty SAMPLEDIR=/samples'
}

packing_list() {
    case $1 in
        Linux)
            common /usr/local /usr/local/share/man
            echo /etc/miredo/anycast.conf.sample
            echo /etc/miredo/miredo-server.conf.sample
            echo /usr/local/lib/systemd/system/teredo-anycast.service
            echo /usr/local/lib/systemd/system/miredo-server.service
            echo /usr/local/lib/systemd/system/miredo-server-unprivileged.service
            ;;
        Darwin)
            common /usr/local /usr/local/share/man
            echo /samples/anycast.conf.sample
            echo /samples/miredo-server.conf.sample
            echo /Library/LaunchDaemons/miredo-server.plist
            ;;
        *)
            echo /samples/anycast.conf.sample
            echo /samples/miredo-server.conf.sample
            port "$1" | grep -v '\.sample$'
            ;;
    esac
}

common() {
    echo "$1/bin/teredo-probe"
    echo "$2/man1/teredo-probe.1"
    echo "$1/sbin/miredo-server"
    echo "$2/man8/miredo-server.8"
    for program in miredo-server teredo-probe; do
        echo "$1/share/bash-completion/completions/$program"
        echo "$1/share/fish/vendor_completions.d/$program.fish"
        echo "$1/share/zsh/site-functions/_$program"
    done
    echo "$2/man5/miredo-server.conf.5"
    echo "$2/man7/teredo-anycast.7"
    echo "$1/libexec/teredo-anycast"
    for example in bird.conf bird-router.conf frr.conf; do
        echo "$1/share/examples/miredo-server/anycast/$example"
    done
    for example in prometheus/prometheus.yml prometheus/teredo.rules.yml prometheus/teredo.rules.test.yml grafana/teredo.json; do
        echo "$1/share/examples/miredo-server/$example"
    done
}

# The packing list of a port, in absolute paths, with the files that the ports tree adds itself.
port() {
    case $1 in
        FreeBSD)
            sed -e 's/^@sample //' -e 's/\.gz$//' -e 's|^|/usr/local/|' etc/ports/freebsd/pkg-plist
            echo /usr/local/etc/rc.d/miredo_server
            echo /usr/local/etc/rc.d/teredo_anycast
            ;;
        OpenBSD)
            sed -n -e '/pkg-readmes/d' -e 's/^@man //' -e 's/^@bin //' -e '/\/$/d' -e '/^@/d' -e 's|^|/usr/local/|p' \
                etc/ports/openbsd/pkg/PLIST
            echo /etc/rc.d/miredo_server
            ;;
        NetBSD)
            sed -n -e '/^@/d' -e 's|^|/usr/pkg/|p' etc/ports/pkgsrc/PLIST
            echo /etc/rc.d/miredo_server
            ;;
    esac
}

configuration() {
    has "$1" || return 0
    rm -rf "$scratch/d"
    mkdir -p "$scratch/d/etc/miredo"
    echo 'ServerBindAddress 192.0.2.77' >"$scratch/d/etc/miredo/miredo-server.conf"
    cp "$scratch/d/etc/miredo/miredo-server.conf" "$scratch/mine"
    # The second time, over the first.
    "$1" install "DESTDIR=$scratch/d"
    "$1" install "DESTDIR=$scratch/d"
    cmp "$scratch/mine" "$scratch/d/etc/miredo/miredo-server.conf"
    "$1" uninstall "DESTDIR=$scratch/d"
    [ "$(find "$scratch/d" -type f)" = "$scratch/d/etc/miredo/miredo-server.conf" ]
    cmp "$scratch/mine" "$scratch/d/etc/miredo/miredo-server.conf"
}

# Whatever the umask of root, everybody can read what is installed.
modes() {
    has "$1" || return 0
    rm -rf "$scratch/d"
    umask 077
    "$1" install "DESTDIR=$scratch/d"
    [ -z "$(find "$scratch/d" -mindepth 1 -type d ! -perm 0755)" ]
    [ -z "$(find "$scratch/d" -type f ! -perm 0644 ! -perm 0755)" ]
}

# The drop-in is there with the feature alone; without it, one that is left goes. ci/xdp.sh installs a program that has the feature.
drop_in() {
    has "$1" || return 0
    units=/usr/local/lib/systemd/system
    "$1" -s list SYSTEM=Linux FEATURES=xdp | grep -Fx "$units/miredo-server.service.d/xdp.conf"
    for system in FreeBSD OpenBSD NetBSD Darwin; do
        if "$1" -s list "SYSTEM=$system" FEATURES=xdp | grep -F xdp.conf; then return 1; fi
    done
    for verb in install uninstall; do
        rm -rf "$scratch/d"
        mkdir -p "$scratch/d$units/miredo-server.service.d"
        touch "$scratch/d$units/miredo-server.service.d/xdp.conf"
        "$1" "$verb" SYSTEM=Linux "DESTDIR=$scratch/d"
        [ ! -e "$scratch/d$units/miredo-server.service.d" ]
    done
    # What the administrator wrote stays.
    mkdir "$scratch/d$units/miredo-server.service.d"
    touch "$scratch/d$units/miredo-server.service.d/mine.conf" "$scratch/d$units/miredo-server.service.d/xdp.conf"
    "$1" uninstall SYSTEM=Linux "DESTDIR=$scratch/d"
    [ "$(ls "$scratch/d$units/miredo-server.service.d")" = mine.conf ]
}

# A program that a package names with BUILT is refused if it has other paths or features. Settings that cannot work are refused.
refusal() {
    for setting in SYSCONFDIR=/elsewhere EMPTYDIR=/elsewhere FEATURES=xdp; do
        if make install "DESTDIR=$scratch/d" "$setting" "BUILT=${CARGO_TARGET_DIR:-target}/release"; then return 1; fi
    done
    # shellcheck disable=SC1003 # a backslash
    for directory in '/a b' '/a|b' '/a&b' '/a\b'; do
        if make install "DESTDIR=$scratch/d" "EMPTYDIR=$directory"; then return 1; fi
    done
    [ ! -e "$scratch/d/elsewhere" ]
}

paths() {
    # The server makes a directory of its own in /var/run, whatever is set: the page has it in a message.
    own='chroot /var/run/miredo-server.abcdef: not permitted'
    # shellcheck disable=SC2046
    for file in $(make -s list $(settings)); do
        if grep -I -n -e '@[A-Z]*@' -e '/etc/miredo/' -e '/var/run/miredo' -e '/var/empty' \
            -e '/usr/local' "$file" | grep -v -e "$prefix/conf/miredo" -e "$prefix/var" -e "$own"; then
            echo "$file: has other paths than those set"
            return 1
        fi
    done
    grep -q "$prefix/var/nothing" "$prefix/share/man/man8/miredo-server.8"
}

completions() {
    for program in miredo-server teredo-probe; do
        bash -n "$prefix/share/bash-completion/completions/$program"
        ! has zsh || zsh -n "$prefix/share/zsh/site-functions/_$program"
        ! has fish || fish -n "$prefix/share/fish/vendor_completions.d/$program.fish"
    done
}

serves() {
    if [ "$(id -u)" -ne 0 ]; then
        skip "$name" 'not root'
        return
    fi
    # All users must be able to pass through: the worker, and whoever reads the directory of the worker.
    chmod 755 "$scratch"
    mkdir -p "$prefix/var/run" "$prefix/var/nothing"
    cp "$prefix/conf/miredo/miredo-server.conf.sample" "$prefix/conf/miredo/miredo-server.conf"
    # A network of its own, and the server ends with it.
    # shellcheck disable=SC2016 # for that shell to expand
    unshare --net --pid --fork --kill-child --mount-proc sh -eu -c '
        ip link set lo up
        ip address add 192.0.2.1/32 dev lo
        ip address add 192.0.2.2/32 dev lo
        "$1/sbin/miredo-server"
        monitor=$(cat "$1/var/run/miredo-server.pid")
        worker=$(pgrep --parent "$monitor")
        [ "$(ps -o user= -p "$worker")" = daemon ]
        [ "$(readlink "/proc/$worker/root")" = "$1/var/nothing" ]
        "$1/bin/teredo-probe" 192.0.2.1
        "$1/sbin/miredo-server" --status | grep "^state  *serving"
        kill "$monitor"
        while kill -0 "$monitor" 2>/dev/null; do sleep 0.1; done
        [ ! -e "$1/var/run/miredo-server.pid" ]
        [ ! -e "$1/var/run/miredo-server.sock" ]
    ' sh "$prefix"
}

has() {
    command -v "$1" >/dev/null || {
        skip "$name" "no $1"
        return 1
    }
}

scratch=$(mktemp -d)
prefix=$scratch/p
trap 'rm -rf "$log" "$scratch"' EXIT
main

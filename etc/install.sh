#!/bin/sh
# Builds, installs and uninstalls. The Makefile calls it, because make has no portable syntax for this. Call it as
# "sh etc/install.sh VERB" from the top of the tree. Settings come from the environment; defaults depend on the system.
set -eu

main() {
    settings
    case ${1-} in
        build) build ;;
        install) install_all ;;
        uninstall) uninstall_all ;;
        list) files | while read -r _ _ target; do echo "$target"; done ;;
        *)
            echo "usage: sh etc/install.sh build | install | uninstall | list" >&2
            exit 2
            ;;
    esac
}

# An empty setting counts as none, so the Makefile can pass all of them.
settings() {
    : "${SYSTEM:=$(uname -s)}"
    case $SYSTEM in
        FreeBSD | DragonFly)
            : "${PREFIX:=/usr/local}" "${SYSCONFDIR:=$PREFIX/etc}"
            : "${SERVICEDIR:=$PREFIX/etc/rc.d}"
            ;;
        OpenBSD)
            : "${PREFIX:=/usr/local}" "${SYSCONFDIR:=/etc}" "${MANDIR:=$PREFIX/man}"
            : "${SERVICEDIR:=/etc/rc.d}" "${SAMPLEDIR:=$PREFIX/share/examples/miredo-server}"
            ;;
        NetBSD)
            : "${PREFIX:=/usr/pkg}" "${SYSCONFDIR:=$PREFIX/etc}" "${MANDIR:=$PREFIX/man}"
            : "${SERVICEDIR:=/etc/rc.d}" "${SAMPLEDIR:=$PREFIX/share/examples/miredo-server}"
            # NetBSD has no /var/empty.
            : "${EMPTYDIR:=${LOCALSTATEDIR:-/var}/chroot/miredo-server}"
            ;;
        Darwin)
            : "${PREFIX:=/usr/local}" "${SYSCONFDIR:=$PREFIX/etc}"
            : "${SERVICEDIR:=/Library/LaunchDaemons}"
            ;;
        *)
            : "${PREFIX:=/usr/local}" "${SYSCONFDIR:=/etc}"
            : "${SERVICEDIR:=$PREFIX/lib/systemd/system}"
            ;;
    esac
    : "${LOCALSTATEDIR:=/var}" "${CONFDIR:=$SYSCONFDIR/miredo}" "${DESTDIR:=}"
    # The units of systemd create a user of their own.
    : "${UNITUSER:=${RUNUSER:-miredo}}" "${RUNUSER:=nobody}"
    : "${EMPTYDIR:=/var/empty}" "${RUNDIR:=$LOCALSTATEDIR/run}"
    : "${BINDIR:=$PREFIX/bin}" "${SBINDIR:=$PREFIX/sbin}" "${LIBEXECDIR:=$PREFIX/libexec}"
    : "${EXAMPLEDIR:=$PREFIX/share/examples/miredo-server}"
    : "${MANDIR:=$PREFIX/share/man}" "${SAMPLEDIR:=$CONFDIR}"
    given=${BUILT-}
    : "${BUILT:=${CARGO_TARGET_DIR:-target}/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release}"
    : "${CARGO:=cargo}" "${FEATURES:=}"
    # These characters do not work in pages, units and sed commands.
    case $PREFIX$SYSCONFDIR$CONFDIR$RUNDIR$LOCALSTATEDIR$EMPTYDIR$BINDIR$SBINDIR$LIBEXECDIR$EXAMPLEDIR$RUNUSER in
        *' '* | *'	'* | *'|'* | *'&'* | *\\*)
            echo "a setting must not contain a space or one of | & \\" >&2
            exit 2
            ;;
    esac
    config=$CONFDIR/miredo-server.conf
    pidfile=$RUNDIR/miredo-server.pid
}

build() {
    MIREDO_CONFIG_FILE=$config MIREDO_PID_FILE=$pidfile MIREDO_USER=$RUNUSER MIREDO_EMPTY_DIR=$EMPTYDIR \
        "$CARGO" build --release --locked --bins --features "$FEATURES"
}

# The files to install, one a line: mode, source, target. Every program has completions and a page: in section 1 if
# it is for everybody, in section 8 if it is for administrators.
files() {
    for page in man/*.1 man/*.8; do
        section=${page##*.}
        program=$(basename "$page" ".$section")
        case $section in
            1) echo "755 $BUILT/$program $BINDIR/$program" ;;
            8) echo "755 $BUILT/$program $SBINDIR/$program" ;;
        esac
        echo "644 $page $MANDIR/man$section/$program.$section"
        echo "644 etc/completions/$program.bash $PREFIX/share/bash-completion/completions/$program"
        echo "644 etc/completions/_$program $PREFIX/share/zsh/site-functions/_$program"
        echo "644 etc/completions/$program.fish $PREFIX/share/fish/vendor_completions.d/$program.fish"
    done
    for page in man/*.[57]; do
        echo "644 $page $MANDIR/man${page##*.}/$(basename "$page")"
    done
    # The configuration itself is never installed: it belongs to the administrator.
    echo "644 etc/miredo-server.conf.sample $SAMPLEDIR/miredo-server.conf.sample"
    monitoring
    fleet
    service
}

monitoring() {
    for example in prometheus/prometheus.yml prometheus/teredo.rules.yml prometheus/teredo.rules.test.yml grafana/teredo.json; do
        echo "644 etc/$example $EXAMPLEDIR/$example"
    done
}

fleet() {
    echo "755 etc/anycast/teredo-anycast $LIBEXECDIR/teredo-anycast"
    echo "644 etc/anycast/anycast.conf.sample $SAMPLEDIR/anycast.conf.sample"
    for example in bird.conf bird-router.conf frr.conf; do
        echo "644 etc/anycast/$example $EXAMPLEDIR/anycast/$example"
    done
}

service() {
    # "none" is for packages that have their own service script.
    [ "$SERVICEDIR" != none ] || return 0
    case $SYSTEM in
        FreeBSD | DragonFly)
            echo "755 etc/rc.d/freebsd $SERVICEDIR/miredo_server"
            echo "755 etc/anycast/freebsd $SERVICEDIR/teredo_anycast"
            ;;
        OpenBSD) echo "755 etc/rc.d/openbsd $SERVICEDIR/miredo_server" ;;
        NetBSD) echo "755 etc/rc.d/netbsd $SERVICEDIR/miredo_server" ;;
        Darwin) echo "644 etc/launchd/miredo-server.plist $SERVICEDIR/miredo-server.plist" ;;
        Linux)
            echo "644 etc/systemd/miredo-server.service $SERVICEDIR/miredo-server.service"
            echo "644 etc/systemd/miredo-server-unprivileged.service $SERVICEDIR/miredo-server-unprivileged.service"
            if accelerates; then drop_in; fi
            echo "644 etc/anycast/teredo-anycast.service $SERVICEDIR/teredo-anycast.service"
            ;;
    esac
}

# What the service may do beyond its unit.
drop_in() {
    echo "644 etc/systemd/xdp.conf $SERVICEDIR/miredo-server.service.d/xdp.conf"
}

# Whether the program has, or is to have, the feature xdp.
accelerates() {
    case " $(echo "$FEATURES" | tr , ' ') " in
        *' xdp '*) ;;
        *) return 1 ;;
    esac
}

install_all() {
    # Everybody may read what is installed, whatever the umask of root.
    umask 022
    built_for_here || build_for_here
    # A program that does not use these privileges is not to have them from an earlier one.
    accelerates || remove_drop_in
    files | while read -r mode source target; do
        put "$mode" "$source" "$DESTDIR$target"
    done
}

# A program that was built for other directories would not find its configuration.
built_for_here() {
    [ -x "$BUILT/miredo-server" ] || return 1
    # A program for another machine does not run here.
    help=$("$BUILT/miredo-server" --help 2>/dev/null) || return 0
    for setting in "$config" "$pidfile" "$RUNUSER" "$EMPTYDIR"; do
        case $help in
            *[!A-Za-z0-9/._-]"$setting]"*) ;;
            *) return 1 ;;
        esac
    done
    case $("$BUILT/miredo-server" --version) in
        *'Accelerate: xdp'*) accelerates ;;
        *) ! accelerates ;;
    esac
}

build_for_here() {
    if [ -n "$given" ]; then
        echo "$given/miredo-server: does not exist, or was not built with the defaults $config, $pidfile, $RUNUSER and $EMPTYDIR and the features \"$FEATURES\"" >&2
        exit 1
    fi
    build
}

put() {
    mkdir -p "$(dirname "$3")"
    # Move the file into place, so that a running program is not overwritten.
    case $2 in
        "$BUILT"/*) cp "$2" "$3.new" ;;
        *) substituted "$2" >"$3.new" ;;
    esac
    chmod "$1" "$3.new"
    mv -f "$3.new" "$3"
    echo "$3"
}

# Scripts contain the names of settings, because no default fits all systems. Pages and completions contain the defaults of
# the program, so they can be read without installation.
substituted() {
    case $1 in
        etc/rc.d/* | etc/systemd/* | etc/launchd/* | etc/anycast/*)
            sed -e "s|@BINDIR@|$BINDIR|g" -e "s|@SBINDIR@|$SBINDIR|g" -e "s|@SYSCONFDIR@|$SYSCONFDIR|g" -e "s|@CONFDIR@|$CONFDIR|g" \
                -e "s|@RUNDIR@|$RUNDIR|g" -e "s|@LOCALSTATEDIR@|$LOCALSTATEDIR|g" -e "s|@RUNUSER@|$RUNUSER|g" \
                -e "s|@UNITUSER@|$UNITUSER|g" -e "s|@LIBEXECDIR@|$LIBEXECDIR|g" "$1"
            ;;
        *)
            sed -e "s|/etc/default/|$SYSCONFDIR/default/|g" -e "s|/etc/miredo/|$CONFDIR/|g" \
                -e "s|/var/run/miredo-server\\.pid|$pidfile|g" -e "s|/var/run/miredo-server\\.sock|${pidfile%.pid}.sock|g" \
                -e "s|/var/empty|$EMPTYDIR|g" -e "s|/usr/local/sbin|$SBINDIR|g" -e "s|/usr/local/libexec|$LIBEXECDIR|g" \
                -e "s|/usr/local/share/examples/miredo-server|$EXAMPLEDIR|g" -e "s|\\[default: nobody\\]|[default: $RUNUSER]|g" \
                -e "s|^\\.Dq nobody|.Dq $RUNUSER|" "$1"
            ;;
    esac
}

# The configuration, other files that were not installed, and directories that are not empty stay.
uninstall_all() {
    files | while read -r _ _ target; do
        rm -f "$DESTDIR$target"
    done
    remove_drop_in
    rmdir "$DESTDIR$EXAMPLEDIR/anycast" "$DESTDIR$EXAMPLEDIR/prometheus" "$DESTDIR$EXAMPLEDIR/grafana" "$DESTDIR$EXAMPLEDIR" "$DESTDIR$SAMPLEDIR" 2>/dev/null || :
}

remove_drop_in() {
    [ "$SYSTEM" = Linux ] && [ "$SERVICEDIR" != none ] || return 0
    drop_in | while read -r _ _ target; do
        rm -f "$DESTDIR$target"
        rmdir "$DESTDIR${target%/*}" 2>/dev/null || :
    done
}

main "$@"

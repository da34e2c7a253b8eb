#!/bin/sh
# Installs Rust from the packages of FreeBSD, OpenBSD or NetBSD, as root. On NetBSD it also installs nc(1). Everything else that
# the tests use is in the base system.
# Its author has not run it. Sources: pkg-install(8), pkg_add(1) of OpenBSD, and the pkgin guide.
set -eux
PATH=$PATH:/usr/local/bin:/usr/pkg/bin:/usr/sbin:/sbin

case $(uname -s) in
    # When the next minor release replaces this one in the repository, its packages are newer than this system. pkg(8) refuses
    # them without IGNORE_OSVERSION.
    FreeBSD) env ASSUME_ALWAYS_YES=yes IGNORE_OSVERSION=yes pkg install rust ;;
    OpenBSD) pkg_add -I rust ;;
    NetBSD) pkgin -y install rust netcat-openbsd ;;
    *)
        echo "no packages known for $(uname -s): install Rust from https://rustup.rs" >&2
        exit 1
        ;;
esac
cargo --version

#!/bin/sh
# Installs Rust from the packages of FreeBSD, OpenBSD or NetBSD, as root. All else that the tests use is in the base system,
# but for nc(1), which NetBSD's has not.
# Not run by its author: written from pkg-install(8), pkg_add(1) of OpenBSD, and the pkgin guide.
set -eux
PATH=$PATH:/usr/local/bin:/usr/pkg/bin:/usr/sbin:/sbin

case $(uname -s) in
    # A release keeps its packages when the next minor one replaces it in the repository; pkg(8) then refuses the newer ones
    # unless told so.
    FreeBSD) env ASSUME_ALWAYS_YES=yes IGNORE_OSVERSION=yes pkg install rust ;;
    OpenBSD) pkg_add -I rust ;;
    NetBSD) pkgin -y install rust netcat-openbsd ;;
    *)
        echo "no packages known for $(uname -s): install Rust from https://rustup.rs" >&2
        exit 1
        ;;
esac
cargo --version

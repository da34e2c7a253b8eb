#!/bin/sh
# Builds a Debian package from etc/ports/debian in target/debian. Then installs, uses, removes and purges it in a container.
# "ci/debian.sh build" only builds.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=ci/container.sh
. ci/container.sh

debian=etc/ports/debian
package=miredo-server-rs
out=${CARGO_TARGET_DIR:-target}/debian
settings='SYSTEM=Linux PREFIX=/usr SYSCONFDIR=/etc LOCALSTATEDIR=/var RUNUSER=_miredo SAMPLEDIR=/usr/share/doc/miredo-server-rs/examples EXAMPLEDIR=/usr/share/doc/miredo-server-rs/examples'

main() {
    if ! command -v dpkg-deb >/dev/null; then
        name='Debian package'
        skip "$name" 'not on Debian'
        return
    fi
    check 'Debian packages' packages dpkg-dev
    # shellcheck disable=SC2086 # words
    check 'build' make all $settings
    check 'Debian package' package
    if [ "${1-}" = build ]; then
        echo "$out/$package.deb"
        return
    fi
    check 'Debian packages' packages iproute2 lintian miredo-server procps systemd-container
    check 'lintian' lint
    run 'Debian package, installed and used' container "cp $out/$package.deb ci/services-boot.sh \$machine/root/" ci/debian-container.sh
}

package() {
    tree=$scratch/tree
    rm -rf "$tree"
    # shellcheck disable=SC2086
    make -s install $settings "DESTDIR=$tree"
    install -D -m 644 "$debian/sysusers.conf" "$tree/usr/lib/sysusers.d/miredo-server.conf"
    documentation "$tree/usr/share/doc/$package"
    find "$tree/usr/share/man" -type f -exec gzip -9n {} +
    control "$tree"
    mkdir -p "$out"
    # All files get the time of the last commit, so that a second build is the same.
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
    export SOURCE_DATE_EPOCH
    find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group --build "$tree" "$out/$package.deb"
}

documentation() {
    {
        cat "$debian/copyright"
        sed -e '1,/^$/d' -e 's/^$/./' -e 's/^/ /' LICENSE
    } >"$scratch/copyright"
    install -D -m 644 "$scratch/copyright" "$1/copyright"
    install -m 644 README.md "$1/"
    changelog | gzip -9n >"$1/changelog.Debian.gz"
    chmod 644 "$1/changelog.Debian.gz"
}

changelog() {
    echo "$package ($version) unstable; urgency=medium"
    printf '\n  * See https://example.org/miredo-server/.\n\n'
    echo " -- $maintainer  $(date --utc --rfc-email --date="@$(git log -1 --format=%ct)")"
}

control() {
    mkdir "$1/DEBIAN"
    install -m 755 "$debian/postinst" "$debian/prerm" "$debian/postrm" "$1/DEBIAN/"
    # dpkg-shlibdeps needs a source package.
    mkdir -p "$scratch/source/debian"
    : >"$scratch/source/debian/control"
    depends=$(cd "$scratch/source" && dpkg-shlibdeps -O "$1"/usr/bin/* "$1"/usr/sbin/* | sed 's/^shlibs:Depends=//')
    (cd "$1" && find usr -type f -exec md5sum {} + | LC_ALL=C sort -k 2) >"$1/DEBIAN/md5sums"
    sed -e "s|@VERSION@|$version|" -e "s|@ARCHITECTURE@|$(dpkg --print-architecture)|" -e "s|@DEPENDS@|$depends|" \
        -e "s|@SIZE@|$(du -sk --apparent-size "$1/usr" | cut -f 1)|" -e "s|@MAINTAINER@|$maintainer|" \
        "$debian/control" >"$1/DEBIAN/control"
}

# The suppressed tag asks for the bug report that requested the package. There is none.
lint() {
    if ! command -v lintian >/dev/null; then
        skip "$name" 'no lintian'
        return
    fi
    lintian --allow-root --fail-on error,warning --suppress-tags=initial-upload-closes-no-bugs "$out/$package.deb"
}

version=$(sed -n '/^\[workspace\.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)-1
maintainer='The miredo-server contributors <maintainers@example.org>'
scratch=$(mktemp -d)
trap 'rm -rf "$log" "$scratch"' EXIT
main "$@"

#!/bin/sh
# Builds the Debian package, whose sources are in etc/ports/debian, in target/debian. Then installs it in a container, also in
# place of the C server's, uses it, removes it and purges it.
# "ci/debian.sh build" only builds. "ci/debian.sh source" makes a source package of the last commit, with all crates.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=ci/container.sh
. ci/container.sh
# shellcheck source=ci/tarball.sh
. ci/tarball.sh

case ${CARGO_TARGET_DIR:=target} in
    /*) ;;
    *) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;;
esac
out=$CARGO_TARGET_DIR/debian

main() {
    if ! command -v dpkg-deb >/dev/null; then
        name='Debian package'
        skip "$name" 'not on Debian'
        return
    fi
    case ${1-} in
        build)
            build
            ls "$out"/*.deb
            ;;
        source)
            check 'Debian packages' packages debhelper dpkg-dev lintian
            check 'everything committed' clean
            progress 'source package' source_package
            progress 'lintian' lint "$out"/source/*.dsc
            ls "$out"/source/*.dsc
            ;;
        '')
            build
            check 'Debian packages' packages iproute2 lintian miredo-server procps systemd-container
            progress 'lintian' lint "$out"/*.deb
            check 'package of the C server' c_package
            run 'Debian package, installed and used' container "
                mkdir \$machine/root/ours
                cp $out/*.deb \$machine/root/ours/
                cp -R $scratch/c ci/services-boot.sh \$machine/root/" ci/debian-container.sh
            ;;
        *)
            echo 'usage: ci/debian.sh [build | source]' >&2
            exit 2
            ;;
    esac
}

build() {
    check 'Debian packages' packages debhelper dpkg-dev
    progress 'Debian package' binary_package
}

# Builds the tree as it is, with the Rust that is here, which need not be Debian's, and without the tests, which
# ci/test.sh runs.
binary_package() {
    rm -rf "$out"
    mkdir -p "$out/$source"
    tar -c --exclude=./.git --exclude=./target . | tar -x -C "$out/$source"
    in_place "$out/$source"
    export CARGO_TARGET_DIR CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}"
    cd "$out/$source"
    DEB_BUILD_OPTIONS='nocheck noautodbgsym' dpkg-buildpackage --build=binary --no-sign --no-check-builddeps
}

source_package() {
    rm -rf "$out/source"
    source_tree "$out/source"
    pack "$out/source" "$source" "$out/source/miredo-server_$version.orig.tar.gz"
    vendor "$out/source/$source" >/dev/null
    pack "$out/source/$source" vendor "$out/source/miredo-server_$version.orig-vendor.tar.gz"
    in_place "$out/source/$source"
    (cd "$out/source" && dpkg-source --build "$source")
}

# in_place TREE: puts the Debian files where the tools expect them.
in_place() {
    cp -R "$1/etc/ports/debian" "$1/debian"
    rm "$1/debian/copyright.in"
}

# It is installed anew for each state that an administrator may have left it in.
c_package() {
    mkdir "$scratch/c"
    # apt downloads as another user than root.
    chmod 755 "$scratch"
    chmod 777 "$scratch/c"
    (cd "$scratch/c" && apt-get download --quiet miredo-server)
}

# The suppressed tag asks for the bug report that requested the package. There is none.
lint() {
    if ! command -v lintian >/dev/null; then
        skip "$name" 'no lintian'
        return
    fi
    lintian --allow-root --fail-on error,warning --suppress-tags=initial-upload-closes-no-bugs "$@"
}

scratch=$(mktemp -d)
trap 'rm -rf "$log" "$scratch"' EXIT
main "$@"

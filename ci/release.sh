#!/bin/sh
# Makes a release of the last commit in target/release-VERSION: a source tarball with all crates, which builds without a network;
# a list of its contents (CycloneDX); and checksums. Makes the tarball twice and compares, builds from it without a network, and
# inspects the program. "ci/release.sh check" does the same but keeps no file and makes no list of contents, because the program
# that lists them takes longer to build than everything else.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=ci/tarball.sh
. ci/tarball.sh

out=${CARGO_TARGET_DIR:-target}/release-$version

main() {
    case ${1-} in
        '')
            rm -rf "$out"
            contents=yes
            ;;
        check)
            out=$scratch/out
            contents=no
            ;;
        *)
            echo 'usage: ci/release.sh [check]' >&2
            exit 2
            ;;
    esac
    check 'Debian packages' packages binutils util-linux xz-utils
    [ "$contents" = no ] || progress 'cargo-cyclonedx' cyclonedx
    check 'everything committed' clean
    mkdir -p "$out"
    progress 'tarballs' tarballs "$scratch/1" "$out"
    progress 'the same a second time' again
    progress 'build without a network' offline
    check 'hardening' hardened
    check 'checksums' sums
    size
    ls -l "$out"
}

cyclonedx() {
    # It prints its version in another form than crate in ci/lib.sh expects.
    [ "$("$tools/bin/cargo-cyclonedx" --version 2>/dev/null)" = 'cargo-cyclonedx-cyclonedx 0.5.9' ] ||
        cargo install --quiet --locked --debug --root "$tools" cargo-cyclonedx --version 0.5.9
}

# tarballs SCRATCH OUT: the source alone, and with the crates.
tarballs() {
    source_tree "$1"
    [ "$contents" = no ] || list_contents "$1" "$2"
    pack "$1" "$source" "$2/$source.tar.gz"
    mkdir "$1/$source/.cargo"
    vendor "$1/$source" >"$1/configuration"
    mv "$1/configuration" "$1/$source/.cargo/config.toml"
    pack "$1" "$source" "$2/$source-vendored.tar.gz"
}

# list_contents SCRATCH OUT
list_contents() {
    (
        cd "$1/$source"
        "$tools/bin/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 --target all \
            --override-filename "$source.cdx"
    )
    # It names the crates of the workspace by their paths.
    sed "s|path+file://$1/|path+file:///|g" "$1/$source/$source.cdx.json" >"$2/$source.cdx.json"
    # There is one for each crate of the workspace. The program's lists the other crates that it uses.
    find "$1/$source" -name "$source.cdx.json" -exec rm {} +
}

again() {
    mkdir "$scratch/again"
    # Like another user, in another time zone and another directory.
    umask 077
    TZ=Pacific/Chatham LC_ALL=C.UTF-8 tarballs "$scratch/2/deeper" "$scratch/again"
    diff -r "$out" "$scratch/again"
}

offline() {
    mkdir "$scratch/built"
    tar -x -f "$out/$source-vendored.tar.gz" -C "$scratch/built"
    # An empty cargo home, so that no crate of this machine is used. Other users than root need a user namespace.
    [ "$(id -u)" -eq 0 ] || user=--map-root-user
    # shellcheck disable=SC2016,SC2086 # for that shell to expand; a word or none
    RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} CARGO_HOME=$scratch/home CARGO_TARGET_DIR=$scratch/built/target \
        CARGO_NET_OFFLINE=true unshare --net ${user-} sh -eu -c '
            cd "$1"
            make
            make install DESTDIR="$2"
        ' sh "$scratch/built/$source" "$scratch/built/d"
    [ "$("$scratch/built/d/usr/local/sbin/miredo-server" --version | head -n 1)" = "miredo-server $version" ]
}

# Position-independent, relocations read-only before main, no executable stack, no symbols.
hardened() {
    readelf --wide --file-header --program-headers --dynamic --sections "$program" >"$scratch/elf"
    cat "$scratch/elf"
    grep -q 'Type: *DYN' "$scratch/elf"
    grep -q 'GNU_RELRO' "$scratch/elf"
    grep -q 'FLAGS.*NOW' "$scratch/elf"
    grep -q 'GNU_STACK.* RW ' "$scratch/elf"
    if grep -q '\.symtab' "$scratch/elf"; then return 1; fi
}

sums() {
    (cd "$out" && sha256sum -- "$source"* >SHA256SUMS && sha256sum --check SHA256SUMS)
}

size() {
    echo "miredo-server: $(stat -c %s "$program") octets"
    if [ -x /usr/sbin/miredo-server ]; then
        echo "the C server: $(stat -Lc %s /usr/sbin/miredo-server) octets"
    fi
}

scratch=$(mktemp -d)
program=$scratch/built/d/usr/local/sbin/miredo-server
trap 'rm -rf "$log" "$scratch"' EXIT
main "$@"

#!/bin/sh
# Makes a release of the last commit in target/release-VERSION: a source tarball with all crates, which builds without a network;
# a list of its contents (CycloneDX); and checksums. Makes the tarball twice and compares, builds from it without a network, and
# inspects the program. "ci/release.sh check" does the same but keeps no file and makes no list of contents, because the program
# that lists them takes longer to build than everything else.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

version=$(sed -n '/^\[workspace\.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
source=miredo-server-$version
out=${CARGO_TARGET_DIR:-target}/release-$version
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

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
    [ "$contents" = no ] || check 'cargo-cyclonedx' cyclonedx
    check 'everything committed' clean
    mkdir -p "$out"
    check 'source tarball' tarball "$scratch/1" "$out"
    check 'the same a second time' again
    check 'build without a network' offline
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

# A release contains what is committed and nothing else.
clean() {
    git status --porcelain
    [ -z "$(git status --porcelain)" ]
}

# tarball SCRATCH OUT
tarball() {
    mkdir -p "$1"
    git archive --prefix="$source/" HEAD | tar -x -f - -C "$1"
    # In this directory, so that the configuration contains no path of this machine.
    (
        cd "$1/$source"
        mkdir .cargo
        cargo vendor --locked --versioned-dirs vendor >.cargo/config.toml
    )
    [ "$contents" = no ] || list_contents "$1" "$2"
    # Order, owners, modes and times are fixed here, and gzip stores no time.
    tar --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw,a-s \
        --mtime="@$SOURCE_DATE_EPOCH" --directory="$1" "$source" | gzip -9n >"$2/$source.tar.gz"
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
    TZ=Pacific/Chatham LC_ALL=C.UTF-8 tarball "$scratch/2/deeper" "$scratch/again"
    diff -r "$out" "$scratch/again"
}

offline() {
    mkdir "$scratch/built"
    tar -x -f "$out/$source.tar.gz" -C "$scratch/built"
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
    (cd "$out" && sha256sum -- "$source".* >SHA256SUMS && sha256sum --check SHA256SUMS)
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

#!/bin/sh
# usage: ci/targets.sh [quick | all | TARGET...]
# Checks, lints and links the program for other systems. What fails here would fail there; what passes here may still fail there.
# On Debian, as root, installs what it needs. The first run takes minutes, later runs seconds.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

# The target as rustc names it, and as zig names it, which links it ("-": zig has no libraries of that system).
systems='
x86_64-unknown-freebsd      x86_64-freebsd
x86_64-unknown-openbsd      x86_64-openbsd
x86_64-unknown-netbsd       x86_64-netbsd
x86_64-unknown-dragonfly    -
x86_64-apple-darwin         x86_64-macos.10.15
aarch64-apple-darwin        aarch64-macos.11.0
'
# The same systems, and this one, with another processor or C library: a third of the time of "all".
variants='
aarch64-unknown-freebsd     aarch64-freebsd
x86_64-unknown-linux-musl   x86_64-linux-musl
aarch64-unknown-linux-musl  aarch64-linux-musl
'
# This system on other processors, for "all": the tests run here, in qemu-user. s390x is big-endian.
emulated='
s390x-unknown-linux-gnu
aarch64-unknown-linux-gnu
'
# qemu-user runs a program, but not the programs that it starts. So these tests run, and the unit tests:
emulated_tests='allocation cli conf corpus fake rules run udp'
# qemu-user does not translate the control message of the hop limit, has a directory of libraries of its own for /, and takes many
# minutes to simulate floods.
emulated_skip='a_hop_limit_arrives an_argument_names_a_file_by_path_or_by_search limit::simulation'
# For .ci/run, where a first run has little time: each system once, except DragonFly, and one program of each format.
quick='x86_64-unknown-freebsd x86_64-unknown-openbsd x86_64-unknown-netbsd aarch64-apple-darwin'
quick_programs='x86_64-unknown-freebsd aarch64-apple-darwin'
to_emulate=
case ${1:-} in
    '') wanted=$(printf '%s' "$systems" | awk '{ print $1 }') ;;
    all) wanted=$(printf '%s' "$systems$variants" | awk '{ print $1 }') to_emulate=$emulated ;;
    quick) wanted=$quick ;;
    *)
        wanted=
        for target; do
            case $emulated in
                *"$target"*) to_emulate="$to_emulate $target" ;;
                *) wanted="$wanted $target" ;;
            esac
        done
        ;;
esac
case ${1:-} in
    quick) to_link=$quick_programs ;;
    *) to_link=$wanted ;;
esac
ziglang=0.17.1

# Outside the tree, so that a fresh clone finds it.
cache=${MIREDO_CI_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/miredo-server-ci}

main() {
    check 'Debian packages' packages binutils ca-certificates file gcc libc6-dev rustc-web cargo-web rust-web-src rust-web-clippy
    sort_targets
    environment
    for origin in rustup source; do
        of_origin "$origin"
        [ -z "$list" ] || check "clippy:$list" "from_$origin" lint "$list"
    done
    emulate
    [ -n "$wanted" ] || return 0
    if ! zig >"$log" 2>&1; then
        cat "$log"
        skip 'linking' "NOT LINKED: no ziglang $ziglang"
        return
    fi
    for origin in rustup source; do
        of_origin "$origin"
        linked=
        for target in $list; do
            if [ "$(zig_name "$target")" != - ] && printf '%s\n' "$to_link" | tr ' ' '\n' | grep -qx "$target"; then
                linked="$linked $target"
            else
                echo "not linked: $target"
            fi
        done
        [ -z "$linked" ] || check "link:$linked" "from_$origin" build "$linked"
        for target in $linked; do
            for program in $(programs); do
                check "$program for $target" inspect "$target" "$cache/$origin/$target/debug/$program"
            done
        done
    done
}

# The origin of the standard library of each target: rustup, if it is installed there. Otherwise it is built here from Debian's
# source by Debian's compiler, the only one that can build that source.
sort_targets() {
    rustup=
    source=
    installed=$(rustup target list --installed 2>/dev/null) || installed=
    for target in $wanted; do
        case $(origin_of "$target") in
            rustup) rustup="$rustup $target" ;;
            source) source="$source $target" ;;
            *) skip "$target" "NOT CHECKED: $no_origin" ;;
        esac
    done
}

no_origin='neither a rustup target nor rustc-web, cargo-web, rust-web-src, rust-web-clippy'

origin_of() {
    if printf '%s\n' "$installed" | grep -qx "$1"; then
        echo rustup
    elif [ -d /usr/lib/rustlib/src/rust/library ] && [ -x /usr/bin/cargo-clippy ]; then
        echo source
    fi
}

of_origin() {
    case $1 in
        rustup) list=$rustup ;;
        source) list=$source ;;
    esac
}

from_rustup() {
    export CARGO_TARGET_DIR="$cache/rustup"
    rustc -V
    "$@"
}

from_source() {
    # Debian's cargo finds Debian's rustc and clippy only when its directory comes first.
    export PATH="/usr/bin:$PATH" CARGO_TARGET_DIR="$cache/source"
    # In the environment, because cargo drops options before an external subcommand such as clippy.
    export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_abort
    rustc -V
    "$@"
}

# Runs what can run of the tests on the processors of to_emulate.
emulate() {
    [ -n "$to_emulate" ] || return 0
    check 'Debian packages for other processors' packages qemu-user gcc-aarch64-linux-gnu gcc-s390x-linux-gnu \
        libc6-dev-arm64-cross libc6-dev-s390x-cross
    for target in $to_emulate; do
        processor=${target%%-*}
        origin=$(origin_of "$target")
        if [ -z "$origin" ]; then
            skip "$target" "NOT TESTED: $no_origin"
        elif ! { command -v "qemu-$processor" && command -v "$processor-linux-gnu-gcc"; } >/dev/null; then
            skip "$target" "NOT TESTED: no qemu-$processor or no $processor-linux-gnu-gcc"
        else
            check "tests on $processor: unit $emulated_tests" "from_$origin" test_emulated "$target" "$processor"
            echo "not run on $processor: $emulated_skip, and what starts programs"
        fi
    done
}

# test_emulated TARGET PROCESSOR
test_emulated() {
    variable=CARGO_TARGET_$(printf %s "$1" | tr a-z- A-Z_)
    export "${variable}_LINKER=$2-linux-gnu-gcc" "${variable}_RUNNER=qemu-$2 -L /usr/$2-linux-gnu"
    # shellcheck disable=SC2046,SC2086 # lists of words
    cargo test --workspace --locked --no-fail-fast --target "$1" --lib $(printf -- '--test %s ' $emulated_tests) -- \
        $(printf -- '--skip %s ' $emulated_skip)
}

lint() {
    # shellcheck disable=SC2046 # a list of words
    cargo clippy --workspace --all-targets --locked $(options "$1") -- -D warnings
}

build() {
    # shellcheck disable=SC2046 # a list of words
    cargo build --package miredo-server --bins --locked $(options "$1")
}

# options TARGETS: the targets as options of cargo.
options() {
    for target in $1; do
        printf -- '--target %s ' "$target"
    done
}

# Linkers and flags, by target. The kernel of OpenBSD enforces branch tracking. Debian's rust-web has no musl libraries.
environment() {
    # Nothing is stripped: rustc would need rust-objcopy for macOS.
    export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=false CARGO_PROFILE_DEV_STRIP=none
    # rustc asks xcrun for an SDK unless SDKROOT is set. zig has its own.
    export SDKROOT="$cache/no-sdk"
    export ZIG_GLOBAL_CACHE_DIR="$cache/zig-cache" ZIG_LOCAL_CACHE_DIR="$cache/zig-cache"
    mkdir -p "$cache/linkers" "$SDKROOT"
    for target in $wanted; do
        zig=$(zig_name "$target")
        case $target in
            *-openbsd) flags='-Z cf-protection=branch' ;;
            x86_64-*-musl) flags='-C link-self-contained=no -C target-feature=+crt-static -C link-arg=-pie' ;;
            *-musl) flags='-C link-self-contained=no -C target-feature=+crt-static' ;;
            *) flags= ;;
        esac
        ln -sf "$PWD/ci/zig-cc.sh" "$cache/linkers/$zig"
        variable=CARGO_TARGET_$(printf %s "$target" | tr a-z- A-Z_)
        export "${variable}_LINKER=$cache/linkers/$zig" "${variable}_RUSTFLAGS=$flags"
    done
}

zig() {
    python=$cache/zig-$ziglang/bin/python
    if [ ! -e "$cache/zig-$ziglang/complete" ]; then
        python3 -c 'import ensurepip' || packages python3-venv
        rm -rf "$cache/zig-$ziglang"
        python3 -m venv "$cache/zig-$ziglang" &&
            "$python" -m pip install --quiet --disable-pip-version-check "ziglang==$ziglang" &&
            : >"$cache/zig-$ziglang/complete" || return 1
    fi
    ZIG=$("$python" -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))') || return 1
    export ZIG
    "$ZIG" version
}

zig_name() {
    printf '%s' "$systems$variants" | awk -v name="$1" '$1 == name { print $2 }'
}

programs() {
    echo miredo-server
    find src/bin -name '*.rs' -exec basename {} .rs \; 2>/dev/null
}

# inspect TARGET FILE: checks that it is a program for that system and needs only libraries of that system.
inspect() {
    description=$(file -b "$2")
    echo "$description"
    case $1 in
        *-apple-darwin) inspect_macho "$1" "$2" ;;
        *-musl) inspect_static "$1" "$2" ;;
        *) inspect_elf "$1" "$2" ;;
    esac
}

inspect_elf() {
    case $1 in
        *-freebsd) says 'pie executable' 'interpreter /libexec/ld-elf.so.1,' 'for FreeBSD 14.0 ' ;;
        *-openbsd) says 'pie executable' 'interpreter /usr/libexec/ld.so,' 'for OpenBSD,' ;;
        *-netbsd) says 'pie executable' 'interpreter /libexec/ld.elf_so,' 'for NetBSD 10.1,' ;;
    esac
    case $1 in
        *-freebsd) needs "$2" libc.so.7 libthr.so.3 ;;
        *-netbsd) needs "$2" libc.so.12 libpthread.so.1 ;;
        *-openbsd)
            needs "$2" libc.so libpthread.so
            # The note exists only if every object has its branch targets marked.
            readelf -Wn "$2" | grep 'x86 feature: .*IBT'
            [ "$(basename "$2")" != miredo-server ] || imports "$2" pledge unveil
            ;;
    esac
}

inspect_macho() {
    case $1 in
        x86_64-*) says 'Mach-O 64-bit x86_64 executable' '|PIE' ;;
        aarch64-*)
            says 'Mach-O 64-bit arm64 executable' '|PIE'
            # The kernel runs no program without a signature (this is its magic number, cs_blobs.h of XNU).
            LC_ALL=C grep -aq "$(printf '\372\336\014\300')" "$2"
            ;;
    esac
    # The load commands are at the start of the file.
    [ "$(head -c 4096 "$2" | strings | grep '\.dylib$' | sort -u)" = /usr/lib/libSystem.B.dylib ]
}

inspect_static() {
    case $1 in
        x86_64-*) says 'x86-64' 'static' ;;
        aarch64-*) says 'ARM aarch64' 'static' ;;
    esac
    needs "$2"
    [ "$(uname -sm)" != "Linux ${1%%-*}" ] || "$2" --version
}

# says WORDS...: the output of file(1) contains each of them.
says() {
    for words; do
        case $description in
            *"$words"*) ;;
            *)
                echo "not: $words"
                return 1
                ;;
        esac
    done
}

# needs FILE LIBRARY...: the file needs these libraries and no others.
needs() {
    found=$(readelf -Wd "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')
    shift
    expected=$(for library; do echo "$library"; done | sort | tr '\n' ' ')
    echo "needs: $found"
    [ "$found" = "$expected" ]
}

imports() {
    file=$1
    shift
    for symbol; do
        readelf -W --dyn-syms "$file" | grep "UND $symbol\$"
    done
}

main

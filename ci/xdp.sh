#!/bin/sh
# usage: ci/xdp.sh [tests]
# Builds the feature xdp, compares its program in the kernel with the server, and starts a server that has it under systemd;
# "tests" leaves systemd out. On Debian, as root, installs what that takes. Nothing else of this tree needs any of it.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"
# shellcheck source=ci/container.sh
. ci/container.sh

# Debian's compiler has the source of its core library, from which the library for the kernel's machine is built.
rustc=/usr/bin/rustc
library=/usr/lib/rustlib/src/rust/library/core/src/lib.rs
llvm=/usr/lib/llvm-22
linker=0.13.0

main() {
    case $# in
        0) ;;
        *)
            [ "$*" = tests ] || {
                echo 'usage: ci/xdp.sh [tests]' >&2
                exit 2
            }
            ;;
    esac
    check 'Debian packages' packages bpftool ca-certificates cargo-web ethtool g++ iproute2 libc6-dev libzstd-dev llvm-22-dev \
        procps rust-web-clippy rust-web-src rustc-web systemd-container zlib1g-dev
    for file in "$rustc" "$library" "$llvm/bin/llvm-config"; do
        if [ ! -e "$file" ]; then
            skip 'feature xdp' "NOT BUILT: no $file"
            return
        fi
    done
    # Without LLVM_PREFIX, the linker is built for another LLVM of the system, if there is one.
    export LLVM_PREFIX="$llvm" MIREDO_XDP_RUSTC="$rustc" MIREDO_XDP_LINKER="$tools/bin/bpf-linker"
    progress 'bpf-linker' crate bpf-linker "$linker" --no-default-features --features llvm-22
    check 'clippy, program in the driver' clippy_program
    check 'clippy, feature xdp' cargo clippy --workspace --all-targets --locked --features xdp -- -D warnings
    if ! permitted >"$log" 2>&1; then
        cat "$log"
        skip 'tests of the program in the driver' 'NOT RUN: this kernel loads no program for this user'
        return
    fi
    run 'tests of the program in the driver' cargo test --workspace --locked --no-fail-fast --features xdp \
        --lib --test xdp --test accelerator --test accelerate
    [ $# -eq 0 ] || return 0
    progress 'build' cargo build --locked --features xdp --bins
    run 'systemd, with the drop-in' boot
}

# By the compiler that builds it.
clippy_program() {
    (
        cd platform/xdp
        export PATH="/usr/bin:$PATH" RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=core
        unset RUSTUP_TOOLCHAIN
        cargo clippy --locked --release --target bpfel-unknown-none -- -D warnings
    )
}

permitted() {
    [ "$(id -u)" -eq 0 ] && bpftool prog show
}

# The program of the tests: it has the directories of an installation, and its file is not kept.
boot() {
    if ! command -v systemd-nspawn >/dev/null; then
        skip "$name" 'no systemd-nspawn'
        return
    fi
    built=${CARGO_TARGET_DIR:-target}/debug
    container "make -s install DESTDIR=\$machine FEATURES=xdp BUILT=$built >/dev/null" ci/xdp-boot.sh \
        --capability=CAP_BPF,CAP_PERFMON --system-call-filter=bpf
}

scratch=$(mktemp -d)
trap 'rm -rf "$log" "$scratch"' EXIT
main "$@"

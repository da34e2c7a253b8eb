#!/bin/sh
# usage: ci/fuzz.sh [seconds for each target]
# The fuzzer's finds do not go to tests/fuzz/corpus. Move there what every later test run should replay.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

seconds=${1:-60}

main() {
    check 'cargo-fuzz' crate cargo-fuzz 0.13.2
    for target in tests/fuzz/fuzz_targets/*.rs; do
        target=$(basename "$target" .rs)
        check "fuzz $target for $seconds s" fuzz "$target"
    done
}

# No sanitizer: the code under test forbids unsafe code, so a sanitizer finds nothing. A stable toolchain is then enough.
fuzz() {
    found=tests/fuzz/artifacts/found-$1
    mkdir -p "$found"
    "$tools/bin/cargo-fuzz" run --fuzz-dir tests/fuzz --sanitizer none "$1" "$found" "tests/fuzz/corpus/$1" -- \
        "-max_total_time=$seconds" -timeout=5 -rss_limit_mb=1024
}

main

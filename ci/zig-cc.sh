#!/bin/sh
# A linker for cargo. Its name is the target, as zig names it. ci/targets.sh creates links with those names, and sets ZIG.
set -eu

# The libc crate asks for these libraries. The program uses nothing of them, and zig does not have them.
target=$(basename -- "$0")
case $target in
    *-freebsd) unused='-lkvm -lmemstat -lprocstat -ldevstat' ;;
    *-macos.*) unused='-liconv' ;;
    *) unused='' ;;
esac

for argument; do
    shift
    case " $unused " in
        *" $argument "*) ;;
        *) set -- "$@" "$argument" ;;
    esac
done
# zig first builds its own runtime (compiler-rt) for each target. Optimised for size, this takes a sixth of the time.
exec "$ZIG" cc -target "$target" -Os "$@"

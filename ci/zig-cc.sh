#!/bin/sh
# A linker for cargo: links for the system, in zig's words, whose name it is called by. ci/targets.sh makes those names,
# and sets ZIG.
set -eu

# The libc crate asks for these libraries; nothing of them is used, and zig has no stand-in for them.
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
# What zig adds of its own (compiler-rt) it builds first, for each target: small, in a sixth of the time that fast takes.
exec "$ZIG" cc -target "$target" -Os "$@"

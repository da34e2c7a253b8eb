#!/bin/sh
# Every check of the tree except its tests. Stops at the first step that fails, and names it.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

main() {
    check 'Debian packages' packages dash g++ git mandoc mksh shellcheck
    check 'format' format
    check 'clippy' clippy
    check 'clippy, one datagram a call' clippy --features plain-udp
    check 'clippy, fuzz targets' cargo clippy --manifest-path tests/fuzz/Cargo.toml --locked -- -D warnings
    check 'documentation' documentation
    check 'no unsafe code outside platform' forbidden
    check 'names of tests' test_names
    check 'shell scripts' scripts
    check 'manual pages' pages
    check 'sample configurations' samples
    check 'README' readme
    check 'cargo-deny' crate cargo-deny 0.20.2
    check 'licenses and origin of the dependencies' deny licenses bans sources
    check 'advisories' advisories
}

format() {
    cargo fmt --all --check
    cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
    cargo fmt --manifest-path platform/xdp/Cargo.toml --check
}

clippy() {
    cargo clippy --workspace --all-targets --locked "$@" -- -D warnings
}

# Includes private items and links to them: this is a program, so its documentation is for people who change it.
documentation() {
    RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --workspace --no-deps --document-private-items --locked
}

# A crate that forbids unsafe code at its root is checked by the compiler.
forbidden() {
    for root in src/lib.rs src/main.rs src/bin/*.rs; do
        if ! grep -Fqx '#![forbid(unsafe_code)]' "$root"; then
            echo "$root: lacks #![forbid(unsafe_code)]"
            return 1
        fi
    done
    ! grep -Ern --include='*.rs' '(^|[^_[:alnum:]])unsafe *(\{|fn|impl|extern|trait)' src tests
}

# A test is a thread of its name, and NetBSD allows 31 characters: a standard library with debug assertions ends there at a longer
# one. Tests that run on Linux alone may have any, and so may unit tests, whose names begin with their module.
test_names() {
    found=
    for file in tests/*.rs tests/*/*.rs platform/tests/*.rs platform/tests/*/*.rs; do
        root=$file module=
        case $file in
            tests/bench/* | tests/fuzz/*) continue ;;
            */tests/*/main.rs | tests/*/main.rs) ;;
            */tests/*/*.rs | tests/*/*.rs)
                root=${file%/*}/main.rs
                module=${file##*/}
                module=${module%.rs}::
                ;;
        esac
        if [ ! -e "$root" ] || grep -q '^#!\[cfg(target_os = "linux")\]' "$file" "$root"; then continue; fi
        awk -v file="$file" -v module="$module" '
            /#\[test\]/ { test = 1 }
            test && /fn / {
                test = 0
                sub(/.*fn /, "")
                sub(/[(<].*/, "")
                if (length(module $0) > 31) { print file ": " module $0 ": more than 31 characters"; long = 1 }
            }
            END { exit long }' "$file" || found=yes
    done
    [ -z "$found" ]
}

scripts() {
    for script in ci/*.sh etc/install.sh; do
        sh -n "$script"
    done
    sh -n etc/anycast/teredo-anycast
    of_openbsd ci/*.sh etc/install.sh etc/rc.d/openbsd etc/anycast/teredo-anycast
    bash -n .ci/run
    if ! command -v shellcheck >/dev/null; then
        skip 'shell scripts' 'no shellcheck'
        return
    fi
    shellcheck --external-sources ci/*.sh .ci/run etc/anycast/teredo-anycast
}

# The shells of OpenBSD have these aliases before they read a script (ksh(1)), and expand them before "()" too, so that a function
# of such a name is a syntax error. Of the shells of Debian, mksh is of their family, but forgets an alias there; dash does not.
of_openbsd() {
    aliases="alias autoload='typeset -fu' functions='typeset -f' hash='alias -t' history='fc -l' integer='typeset -i' \
        local=typeset login='exec login' nohup='nohup ' r='fc -s' stop='kill -STOP'"
    for script; do
        for shell in dash mksh; do
            if ! command -v "$shell" >/dev/null; then
                skip 'shell scripts, as OpenBSD reads them' "no $shell"
                return
            fi
            # shellcheck disable=SC2016 # for that shell to expand
            if ! "$shell" -c "$aliases
                eval \"only_read() {
                    \$(cat \"\$1\")
                }\"" "$shell" "$script"; then
                echo "$script: not for $shell with the aliases of OpenBSD"
                return 1
            fi
        done
    done
    # What awk(1) of the BSDs has as a function cannot be set with -v: "system" would execute each line that is read.
    functions='atan2|cos|exp|int|log|rand|sin|sqrt|srand|gsub|index|length|match|split|sprintf|sub|substr|close|fflush|system|'
    functions="${functions}tolower|toupper|compl|and|or|xor|lshift|rshift|gensub|strftime|systime|mktime"
    ! grep -nE "awk .*-v [\"']?($functions)=" "$@" .ci/run Makefile
}

pages() {
    if ! command -v mandoc >/dev/null; then
        skip 'manual pages' 'no mandoc'
        return
    fi
    # It does not matter which other manuals this machine has.
    ! mandoc -T lint man/*.[1578] 2>&1 | grep -v -e 'referenced manual not found' -e 'outdated mandoc.db lacks'
}

samples() {
    for sample in etc/*.sample; do
        cargo run --quiet --locked --bin miredo-server -- -n -c "$sample"
    done
}

# The README has the two commands for a new user, and every file that it links to exists.
readme() {
    grep -Fqx 'cargo run --release -- --local' README.md
    grep -Fqx 'ci/test.sh' README.md
    grep -o ']([^):#]*)' README.md | tr -d '[]()' | xargs ls -d
}

# Also of the program in the driver, which has a workspace of its own.
deny() {
    for manifest in Cargo.toml platform/xdp/Cargo.toml; do
        "$tools/bin/cargo-deny" --manifest-path "$manifest" --config deny.toml --workspace --locked ${offline:+--offline} \
            check --hide-inclusion-graph "$@"
    done
}

# The advisories are in a git repository on another host. If it cannot be reached, the tree is neither faulty nor checked.
advisories() {
    if ! "$tools/bin/cargo-deny" --locked fetch db; then
        echo 'SKIPPED: advisories: https://github.com/RustSec/advisory-db is out of reach; NOT CHECKED'
        return
    fi
    offline=yes
    deny advisories
}

main

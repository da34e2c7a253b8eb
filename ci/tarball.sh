# shellcheck shell=sh
# Sourced by scripts of this directory, after lib.sh: tarballs of the last commit, the same each time they are made.

version=$(sed -n '/^\[workspace\.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
source=miredo-server-$version
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# A release contains what is committed and nothing else.
clean() {
    git status --porcelain
    [ -z "$(git status --porcelain)" ]
}

# source_tree DIRECTORY: makes DIRECTORY/miredo-server-VERSION.
source_tree() {
    mkdir -p "$1"
    git archive --prefix="$source/" HEAD | tar -x -f - -C "$1"
}

# vendor TREE: puts the crates in vendor. Prints what cargo has to be told of it, without a path of this machine.
vendor() {
    (cd "$1" && cargo vendor --locked --versioned-dirs vendor)
}

# pack DIRECTORY NAME FILE: order, owners, modes and times are fixed here, and gzip stores no time.
pack() {
    tar --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw,a-s \
        --mtime="@$SOURCE_DATE_EPOCH" --directory="$1" "$2" | gzip -9n >"$3"
}

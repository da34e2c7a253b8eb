#!/bin/sh
# What the machines are like that build packages: an ordinary user, no network but the loopback interface, and no name in
# /etc/hosts, not even localhost. cargo runs each test by this, as root, on Linux: sh ci/builder.sh PROGRAM ARGUMENT...
set -eu

# shellcheck disable=SC2016 # for that shell to expand
exec unshare --net --mount --propagation private sh -eu -c '
    ip link set lo up
    mount --bind /dev/null /etc/hosts
    # Tests are skipped that need root, also where CI is set. The user is called another one than root but owns the files of root,
    # so that it can read a tree that only root can.
    exec env -u CI unshare --user --map-user=1000 --map-group=1000 "$@"
' sh "$@"

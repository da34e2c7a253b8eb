# shellcheck shell=sh disable=SC2154 # name is set by lib.sh, scratch by who sources this
# Sourced by scripts of this directory after lib.sh. Boots this machine's own system by systemd in a container. Its writes go to
# memory. It has its own network, which reaches nothing.

# container PREPARE SCRIPT [OPTION...]: boots and runs the file SCRIPT as a service, and returns its result. The command PREPARE runs
# before, with the root directory of the container in $machine. The options are for systemd-nspawn(1).
container() {
    if [ "$(id -u)" -ne 0 ]; then
        skip "$name" 'not root'
        return
    fi
    mkdir -p "$scratch/memory" "$scratch/machine"
    # A separate mount namespace, so that nothing stays mounted.
    # shellcheck disable=SC2016 # for that shell to expand
    unshare --mount --propagation private sh -eu -c '
        memory=$1/memory machine=$1/machine
        mount -t tmpfs tmpfs "$memory"
        mkdir "$memory/upper" "$memory/work"
        mount -t overlay -o "lowerdir=/,upperdir=$memory/upper,workdir=$memory/work" overlay "$machine" || exit 77
        eval "$2"
        cp "$3" "$machine/root/container-script.sh"
        cp ci/container.service "$machine/etc/systemd/system/"
        shift 3
        exec systemd-nspawn --quiet --directory="$machine" --register=no --keep-unit --private-network \
            --link-journal=no --console=read-only "$@" --boot \
            systemd.unit=container.service systemd.show_status=no systemd.log_level=err
    ' sh "$scratch" "$@" || status=$?
    case ${status:-0} in
        0) ;;
        77) skip "$name" 'no overlay file system can be had on top of /' ;;
        *) return 1 ;;
    esac
}

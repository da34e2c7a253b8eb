#!/bin/sh
# Runs in a container that ci/debian.sh boots: installs, upgrades and removes the package, also in place of the C server's, in
# the states that an administrator may have left that one in.
set -eu

package=miredo-server
configuration=/etc/miredo/miredo-server.conf
environment=/etc/default/miredo-server
# Not an address of either example.
mine='ServerBindAddress 198.51.100.1'

main() {
    ip link set lo up
    for address in 192.0.2.1 192.0.2.2 198.51.100.1 198.51.100.2; do
        ip address replace "$address/32" dev lo
    done
    # This file keeps services from starting with their packages, which is tested here.
    rm -f /usr/sbin/policy-rc.d
    # Half the time would go to the index of the manual pages.
    rm -f /var/lib/man-db/auto-update
    mv /root/c/*.deb /root/c.deb
    for state in configured link_replaced options odd_arguments untouched example disabled removed; do
        c_server
        "c_$state"
        dpkg --purge "$package" >/dev/null 2>&1
        echo "ok: $state"
    done
    c_server
    and_back
    dpkg --purge "$package" >/dev/null 2>&1
    install_fresh
    upgrade
    /bin/sh /root/services-boot.sh
    remove
    purge
    echo "ok: $package"
}

# The C server's package as it comes, enabled as on a machine that no test has touched.
c_server() {
    rm -f "$configuration" "$environment" /etc/miredo-server.conf
    dpkg --install --force-confmiss /root/c.deb >/root/install.log 2>&1 || failed 'the C server does not install'
    update-rc.d miredo-server enable 2>/dev/null
    systemctl daemon-reload
}

c_configured() {
    echo "$mine" >/etc/miredo-server.conf
    echo 'START_MIREDO_SERVER=true' >>"$environment"
    systemctl start miredo-server
    pgrep -x miredo-server >/dev/null || failed 'the C server does not run'
    # There is no network to download from.
    install_package apt-get install --quiet --quiet --yes
    runs_with "$mine" _miredo
    # The user of the C server's package is not an administrator's choice.
    [ ! -e "$environment" ] || failed 'options from nowhere'
    [ ! -e /etc/init.d/miredo-server ] || failed 'two services'
}

# As sed -i and many an editor do.
c_link_replaced() {
    rm "$configuration"
    echo "$mine" >"$configuration"
    # shellcheck disable=SC2016 # for the shell that reads it
    printf 'yes=true\nSTART_MIREDO_SERVER="$yes"\n' >>"$environment"
    install_package
    runs_with "$mine" _miredo
}

c_options() {
    echo "$mine" >/etc/elsewhere.conf
    # shellcheck disable=SC2016 # for the shell that reads it
    printf '%s\n' "START_MIREDO_SERVER='true'" \
        'DAEMON_ARGS="$DAEMON_ARGS --conf=/etc/elsewhere.conf -u daemon -p /var/run/elsewhere.pid -t /srv"' >>"$environment"
    install_package
    grep -qx 'OPTIONS="-c /etc/elsewhere.conf -u daemon"' "$environment" || failed 'options are lost'
    grep -q 'DAEMON_ARGS="-u miredo-server --conf' /root/install.log || failed 'does not say where the options are from'
    grep -q 'OPTIONS="-c /etc/elsewhere.conf -u daemon"' /root/install.log || failed 'does not say what it carries over'
    grep -q 'PIDFILE="/var/run/elsewhere.pid"' /root/install.log || failed 'does not say what it carries over'
    grep -q -e '-t /srv not carried over' /root/install.log || failed 'does not say what it leaves out'
    runs_as daemon
    [ "$(cat /var/run/elsewhere.pid)" = "$(systemctl show --property=MainPID --value miredo-server)" ] ||
        failed 'not the process ID file of the C server'
}

c_odd_arguments() {
    echo "$mine" >/etc/miredo-server.conf
    # shellcheck disable=SC2016 # for the shell that reads it
    printf '%s\n' 'START_MIREDO_SERVER=true' 'DAEMON_ARGS="-u \`id\`"' >>"$environment"
    install_package
    grep -q 'DAEMON_ARGS not carried over' /root/install.log || failed 'does not say what is lost'
    runs_with "$mine" _miredo
}

c_untouched() {
    install_package
    does_not_run
    grep -q 'not started' /root/install.log || failed 'does not say that it is not started'
}

# The C server starts on it, and serves nobody.
c_example() {
    echo 'START_MIREDO_SERVER=true' >>"$environment"
    echo '# mine' >>/etc/miredo-server.conf
    install_package
    does_not_run
    grep -qx '# mine' "$configuration" || failed 'the configuration is lost'
    grep -q 'that of the example' /root/install.log || failed 'does not say why it is not started'
    # Nor does an upgrade start it.
    install_package
    does_not_run
}

c_disabled() {
    echo "$mine" >/etc/miredo-server.conf
    echo 'START_MIREDO_SERVER=true' >>"$environment"
    update-rc.d miredo-server disable
    install_package
    does_not_run
    [ "$(cat "$configuration")" = "$mine" ] || failed 'the configuration is lost'
}

# The C server's package was removed first, and with it the link.
c_removed() {
    echo "$mine" >/etc/miredo-server.conf
    echo 'START_MIREDO_SERVER=true' >>"$environment"
    dpkg --remove miredo-server >/dev/null
    install_package
    runs_with "$mine" _miredo
}

# The C server's package has the same configuration again.
and_back() {
    echo "$mine" >/etc/miredo-server.conf
    install_package
    dpkg --install --force-confold /root/c.deb >/root/install.log 2>&1 || failed 'no way back'
    [ "$(cat "$configuration")" = "$mine" ] || failed 'the configuration is lost on the way back'
}

runs_with() {
    [ "$(cat "$configuration")" = "$1" ] || failed 'another configuration'
    runs_as "$2"
}

runs_as() {
    systemctl --quiet is-enabled miredo-server || failed 'not enabled'
    systemctl --quiet is-active miredo-server || failed 'does not run'
    users=$(ps -o user= -C miredo-server | sort -u | tr '\n' ' ')
    case $users in
        "$1 root " | "root $1 ") ;;
        *) failed "runs as $users" ;;
    esac
}

does_not_run() {
    ! systemctl --quiet is-enabled miredo-server || failed 'enabled'
    [ "$(systemctl is-active miredo-server)" = inactive ] || failed 'started'
    if pgrep -x miredo-server; then failed 'runs'; fi
}

# Without a configuration, the server does not start, and the installation succeeds.
install_fresh() {
    rm -f "$configuration"
    install_package
    [ -n "$(getent passwd _miredo)" ] || failed 'no user'
    systemctl --quiet is-enabled miredo-server || failed 'not enabled'
    [ "$(systemctl is-active miredo-server)" = inactive ] || failed 'runs without a configuration'
    for file in $(dpkg --listfiles "$package"); do
        [ -e "$file" ] || failed "$file is not there"
    done
    dpkg --verify "$package"
}

upgrade() {
    mkdir -p /etc/miredo
    echo "$mine" >"$configuration"
    systemctl restart miredo-server
    before=$(systemctl show --property=MainPID --value miredo-server)
    install_package
    runs_with "$mine" _miredo
    [ "$before" -ne "$(systemctl show --property=MainPID --value miredo-server)" ] || failed 'the old version still runs'
    systemctl stop miredo-server
}

remove() {
    systemctl start miredo-server
    dpkg --remove "$package" >/dev/null
    if pgrep -x miredo-server; then failed 'still runs'; fi
    [ -e "$configuration" ] || failed 'removed the configuration'
}

purge() {
    dpkg --purge "$package" >/dev/null
    for file in "$configuration" "$environment" /var/lib/miredo-server "/usr/share/doc/$package"; do
        [ ! -e "$file" ] || failed "leaves $file"
    done
}

# install_package [PROGRAM...]
install_package() {
    [ $# -gt 0 ] || set -- dpkg --install
    "$@" /root/ours/*.deb >/root/install.log 2>&1 || failed 'does not install'
}

failed() {
    systemctl status --no-pager --full miredo-server || :
    tail -n 20 /root/install.log || :
    echo "FAILED: $package: $1"
    exit 1
}

main

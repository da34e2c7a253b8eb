#!/bin/sh
# Runs in a container that ci/debian.sh boots: installs, upgrades and removes the package, also in place of the C server's.
set -eu

package=miredo-server-rs
configuration=/etc/miredo/miredo-server.conf

main() {
    ip link set lo up
    ip address replace 192.0.2.1/32 dev lo
    ip address replace 192.0.2.2/32 dev lo
    # This file keeps services from starting with their packages, which is tested here.
    rm -f /usr/sbin/policy-rc.d
    replace_c_server
    install_fresh
    upgrade
    /bin/sh /root/services-boot.sh
    remove
    purge
    echo "ok: $package"
}

# The C server runs. This one replaces it and uses its configuration and its addresses. Then the other package is purged.
replace_c_server() {
    echo 'START_MIREDO_SERVER=true' >>/etc/default/miredo-server
    echo 'ServerBindAddress 192.0.2.1' >/etc/miredo-server.conf
    systemctl start miredo-server
    pgrep -x miredo-server >/dev/null || failed 'the C server does not run'
    install_package
    if dpkg-query -W -f '${db:Status-Status}' miredo-server 2>/dev/null | grep -qx installed; then
        failed 'the C server is still installed'
    fi
    dpkg --purge miredo-server >/dev/null
    systemctl restart miredo-server || failed 'does not run without what the C server left'
    [ "$(ps -o user= -C miredo-server | sort -u | tr -d '\n')" = _miredoroot ] || failed 'other users than root and _miredo'
    [ "$(cat "$configuration")" = 'ServerBindAddress 192.0.2.1' ] || failed 'another configuration'
}

# Without a configuration, the server does not start, and the installation succeeds.
install_fresh() {
    dpkg --purge "$package" >/dev/null
    rm "$configuration"
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
    echo 'ServerBindAddress 192.0.2.1' >"$configuration"
    systemctl restart miredo-server
    before=$(systemctl show --property=MainPID --value miredo-server)
    install_package
    systemctl --quiet is-active miredo-server || failed 'does not run after an upgrade'
    [ "$before" -ne "$(systemctl show --property=MainPID --value miredo-server)" ] || failed 'the old version still runs'
    [ "$(cat "$configuration")" = 'ServerBindAddress 192.0.2.1' ] || failed 'another configuration after an upgrade'
    [ "$(ps -o user= -C miredo-server | sort -u | tr -d '\n')" = _miredoroot ] || failed 'other users than root and _miredo'
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
    [ -e "$configuration" ] || failed 'purged the configuration, which is not its own'
    [ ! -e "/usr/share/doc/$package" ] || failed 'leaves documentation'
}

# Unlike dpkg, apt removes packages that conflict. There is no network to download from.
install_package() {
    apt-get install --quiet --quiet --yes --reinstall "/root/$package.deb" >/root/apt.log 2>&1 || {
        cat /root/apt.log
        failed 'does not install'
    }
}

failed() {
    systemctl status --no-pager --full miredo-server || :
    echo "FAILED: $package: $1"
    exit 1
}

main

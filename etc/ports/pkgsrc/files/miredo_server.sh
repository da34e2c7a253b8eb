#!/bin/sh

# PROVIDE: miredo_server
# REQUIRE: DAEMON
# KEYWORD: shutdown

# In rc.conf(5):
#
# miredo_server=YES		start the Teredo server at boot
# miredo_server_flags=""	options, see miredo-server(8)
# miredo_server_config, miredo_server_pidfile, miredo_server_user: as below

if [ -f /etc/rc.subr ]; then
	. /etc/rc.subr
fi

name="miredo_server"
rcvar=$name
command="@PREFIX@/sbin/miredo-server"

load_rc_config $name

: ${miredo_server_config:="@PKG_SYSCONFDIR@/miredo-server.conf"}
: ${miredo_server_user:="@MIREDO_USER@"}
: ${miredo_server_pidfile:="@VARBASE@/run/miredo-server.pid"}

command_args="-c ${miredo_server_config} -p ${miredo_server_pidfile} -u ${miredo_server_user}"
pidfile=${miredo_server_pidfile}
required_files=${miredo_server_config}

# rc.subr(8) would start the server as this user. Root must start it; the server changes to the user itself.
unset miredo_server_user

extra_commands="configtest reload"
configtest_cmd="miredo_server_configtest"
# A running server is not stopped if the new configuration is faulty.
reload_precmd="miredo_server_configtest"
restart_precmd="miredo_server_configtest"

miredo_server_configtest()
{
	echo "Checking ${miredo_server_config}."
	${command} -n ${rc_flags} ${command_args}
}

run_rc_command "$1"

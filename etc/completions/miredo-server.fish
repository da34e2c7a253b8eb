complete -c miredo-server -s c -l config -l conf -d 'Read the configuration from FILE [default: /etc/miredo/miredo-server.conf]' -r -F
complete -c miredo-server -s u -l user -l username -d 'Run as USER, a name in passwd(5) other than that of uid 0 [default: nobody]' -r -f -a "(__fish_complete_users)"
complete -c miredo-server -s p -l pidfile -d 'Write the process id to FILE [default: /var/run/miredo-server.pid]' -r -F
complete -c miredo-server -s t -l chroot -l chrootdir -d 'Confine the server to DIR, an empty directory [default: /var/empty]' -r -f -a "(__fish_complete_directories)"
complete -c miredo-server -s f -l foreground -d 'Stay in the foreground and log to standard error'
complete -c miredo-server -s n -l check -d 'Report every fault of the configuration and exit'
complete -c miredo-server -l local -d 'Serve this machine and private networks, without root, for a trial'
complete -c miredo-server -l status -d 'Ask the running server what it does and has counted, and exit'
complete -c miredo-server -l json -d 'With --status, print JSON'
complete -c miredo-server -s h -l help -d 'Print help'
complete -c miredo-server -s V -l version -d 'Print version'

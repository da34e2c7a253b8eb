complete -c teredo-probe -s t -l timeout -d 'Wait no longer than SECONDS for the answers' -r -f
complete -c teredo-probe -s s -l source -d 'Send from ADDRESS' -r -f
complete -c teredo-probe -s p -l port -d 'Use PORT as the service port' -r -f
complete -c teredo-probe -l expect-prefix -d 'The service\'s prefix, 32 bits long' -r -f
complete -c teredo-probe -s v -l verbose -d 'Show the packets, decoded'
complete -c teredo-probe -s 1 -l one-address -d 'The server has no secondary address'
complete -c teredo-probe -s h -l help -d 'Print help'
complete -c teredo-probe -s V -l version -d 'Print version'

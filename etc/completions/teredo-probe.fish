complete -c teredo-probe -s w -l warning -d 'With --monitor: warn when the answer takes longer' -r -f
complete -c teredo-probe -s c -l critical -d 'With --monitor: critical when the answer takes longer' -r -f
complete -c teredo-probe -l prometheus -d 'Write metrics for node_exporter\'s textfile collector, into FILE if given' -r -F
complete -c teredo-probe -s t -l timeout -d 'Wait no longer than SECONDS for the answers' -r -f
complete -c teredo-probe -s i -l interval -d 'Ask again every SECONDS; with --ping, where it is 1 without' -r -f
complete -c teredo-probe -s n -l count -d 'With --interval or --ping: end after COUNT rounds or echo requests' -r -f
complete -c teredo-probe -s s -l source -d 'Send from ADDRESS' -r -f
complete -c teredo-probe -s p -l port -d 'Use PORT as the service port' -r -f
complete -c teredo-probe -l expect-prefix -d 'The service\'s prefix, 32 bits long' -r -f
complete -c teredo-probe -l key -d 'Prove who this client is with the key in FILE, and have the server prove itself' -r -F
complete -c teredo-probe -l native -d 'Test the way to a native IPv6 address' -r -f
complete -c teredo-probe -l ping -d 'Be a Teredo client that sends echo requests to ADDRESS' -r -f
complete -c teredo-probe -s v -l verbose -d 'Show the packets, decoded'
complete -c teredo-probe -l json -d 'Print a JSON object a line'
complete -c teredo-probe -l monitor -d 'Print one line and exit as a plugin of Nagios or Icinga does'
complete -c teredo-probe -s 1 -l one-address -d 'The server has no secondary address'
complete -c teredo-probe -l listen -d 'Be a Teredo client that answers echo requests'
complete -c teredo-probe -s h -l help -d 'Print help'
complete -c teredo-probe -s V -l version -d 'Print version'

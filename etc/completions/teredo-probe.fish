complete -c teredo-probe -s w -l wait -d 'Wait MILLISECONDS for each of three tries' -r -f
complete -c teredo-probe -s h -l help -d 'Print help'
complete -c teredo-probe -s V -l version -d 'Print version'

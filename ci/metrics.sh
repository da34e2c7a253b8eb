#!/bin/sh
# Has Prometheus collect the metrics of a running server: promtool accepts them and the rules of etc/prometheus, whose tests pass,
# and each expression of the dashboard of etc/grafana gives data. On loopback alone. As root on Debian, installs Prometheus, whose
# service does not start.
# shellcheck source=ci/lib.sh
. "$(dirname -- "$0")/lib.sh"

server=127.77.91.1
metrics=$server:9544
probed=$server:9545
prometheus=$server:9090

main() {
    check 'Debian packages' packages curl prometheus python3
    for program in curl promtool prometheus python3; do
        if ! command -v "$program" >/dev/null; then
            skip 'metrics' "no $program"
            return
        fi
    done
    check 'alert rules' rules
    check 'build' cargo build --locked
    check 'metrics of a running server' collected
}

rules() {
    promtool check rules etc/prometheus/teredo.rules.yml
    promtool check config --syntax-only etc/prometheus/prometheus.yml
    (cd etc/prometheus && promtool test rules teredo.rules.test.yml)
}

collected() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/miredo-metrics.XXXXXXXXXX")
    pids=
    trap 'stopped' EXIT
    built=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug
    printf 'ServerBindAddress %s\nMetricsAddress %s\nWorkers 1\n' "$server" "$metrics" >"$work/server.conf"
    "$built/miredo-server" --local -c "$work/server.conf" 2>"$work/server.log" &
    pids=$!
    until_answered "http://$metrics/metrics"
    for accept in 'text/plain' 'application/openmetrics-text'; do
        curl -sS --max-time 10 -H "Accept: $accept" "http://$metrics/metrics" >"$work/metrics"
        echo "$accept: $(wc -l <"$work/metrics") lines"
        # What it complains of, it prints; of OpenMetrics it knows the form alone.
        [ "$accept" != text/plain ] || promtool check metrics <"$work/metrics"
    done
    tail -n 1 "$work/metrics" | grep -Fqx '# EOF'

    # What the textfile collector of node_exporter would show.
    mkdir "$work/probe"
    "$built/teredo-probe" --prometheus "$server" >"$work/probe/metrics"
    python3 -m http.server --bind "$server" --directory "$work/probe" 9545 >"$work/probe.log" 2>&1 &
    pids="$pids $!"

    sed -e "s/127\\.0\\.0\\.1:9544/$metrics/" -e "s|teredo\\.rules\\.yml|$PWD/etc/prometheus/&|" etc/prometheus/prometheus.yml >"$work/prometheus.yml"
    sed -i -e "s/^scrape_configs:/global: { scrape_interval: 1s, evaluation_interval: 1s }\\n&\\n  - { job_name: probe, static_configs: [ { targets: ['$probed'] } ] }/" \
        "$work/prometheus.yml"
    prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --web.listen-address="$prometheus" \
        --log.level=warn 2>"$work/prometheus.log" &
    pids="$pids $!"
    until_answered "http://$prometheus/-/ready"
    ci/metrics.py "http://$prometheus" etc/grafana/teredo.json
}

# Waits until something answers with success.
until_answered() {
    tries=0
    until curl -sf --max-time 2 -o "$work/answer" "$1"; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ]
        sleep 0.2
    done
}

stopped() {
    status=$?
    # shellcheck disable=SC2086 # a list of numbers
    [ -z "$pids" ] || kill $pids 2>/dev/null || :
    wait
    [ "$status" -eq 0 ] || cat "$work"/*.log
    rm -rf "$work"
}

main

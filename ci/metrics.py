#!/usr/bin/env python3
"""Asks a Prometheus for each expression of a dashboard of Grafana, until each gives data, and for the alerts, of which none may fire.

Usage: metrics.py URL DASHBOARD. Used by ci/metrics.sh."""

import json
import sys
import time
import urllib.parse
import urllib.request

SECONDS = 30


def asked(url, path, **parameters):
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{url}{path}?{query}", timeout=5) as answer:
        return json.load(answer)["data"]


def main(url, dashboard):
    with open(dashboard, encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    wanted = [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]
    if not wanted:
        sys.exit(f"{dashboard}: no expression")
    deadline = time.monotonic() + SECONDS
    missing = wanted
    while missing:
        time.sleep(1)
        # Grafana puts an interval in the place of its variable.
        found = [asked(url, "/api/v1/query", query=expr.replace("$__rate_interval", "10s"))["result"] for _, expr in missing]
        for (title, expr), result in zip(missing, found):
            if result:
                print(f"{title}: {len(result)} series: {expr}")
        missing = [expression for expression, result in zip(missing, found) if not result]
        if missing and time.monotonic() > deadline:
            sys.exit("\n".join(f"{title}: no data: {expr}" for title, expr in missing))
    firing = [alert for alert in asked(url, "/api/v1/alerts")["alerts"] if alert["state"] == "firing"]
    if firing:
        sys.exit(f"a server that works: {firing}")
    print(f"{len(wanted)} expressions give data, no alert fires")


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/env bash
# The alert rules and what they lean on: every metric they ask for is in docs/metrics.md, every runbook is a heading of
# the document that it names, every alert is tested, and docs/operations.md lists each with its severity and runbook. The
# dashboard counts the refusals that an alert counts, and its verdict knows what the critical alerts on gauges of the
# edge know.
set -u
cd "$1" || exit 1
rules=config/prometheus/runledger.rules.yml
status=0
complain() {
    echo "$1"
    status=1
}
metrics=$(grep -v '^#' "$rules" | grep -oE 'runledger_[a-z_]+' | sort -u)
[ -n "$metrics" ] || complain "$rules asks for no metric"
for metric in $metrics; do
    grep -qE "^\| \`${metric%_bucket}[\`{]" docs/metrics.md || complain "docs/metrics.md does not have $metric"
done
runbooks=$(sed -n 's/^ *runbook: //p' "$rules" | sort -u)
[ -n "$runbooks" ] || complain "$rules names no runbook"
for runbook in $runbooks; do
    anchors=$(sed -n 's/^##* //p' "${runbook%#*}" | tr '[:upper:] ' '[:lower:]-' | tr -cd 'a-z0-9\n-')
    grep -qx -- "${runbook#*#}" <<<"$anchors" || complain "$runbook is no heading"
done
alerts=$(sed -n 's/^ *- alert: //p' "$rules")
[ "$(wc -w <<<"$alerts")" = "$(grep -c 'runbook:' "$rules")" ] || complain "an alert has no runbook"
for alert in $alerts; do
    grep -qE "alertname(=\"|: )$alert\b" tests/alerts/runledger.rules.test.yml || complain "$alert is not tested"
done
# What a pager shows is the alert's name.
rows() {  # the rules as the rows of "Alerts" have to be: name, severity, runbook
    sed -nE 's/^ *- alert: //p; s/^ *labels: \{severity: (.*)\}$/\1/p; s/^ *runbook: docs\/(.*)$/\1/p' "$rules" | paste -d ' ' - - -
}
listed() {
    sed -nE 's/^\| `(Runledger[A-Za-z]+)` \| (critical|warning) \| .* \| \[[^]]*\]\(([^)]*)\) \|$/\1 \2 \3/p' docs/operations.md |
        sed 's/ #/ operations.md#/'
}
differs=$(diff <(rows | sort) <(listed | sort)) || complain "the alerts (<) and their table in docs/operations.md (>) differ:
$differs"

dashboard=config/grafana/dashboards/runledger-flow.json
# The sets of causes that a file's expressions on refused_total select, one a line.
causes() { sed 's/\\"/"/g' "$1" | grep -oE 'refused_total\{[^}]*cause=~"[^"]*"' | sed 's/.*cause=~"//; s/"$//' | sort -u; }
[ -n "$(causes "$dashboard")" ] || complain "$dashboard counts no refusals"
while read -r set; do
    grep -qxF -- "$set" <<<"$(causes "$rules")" || complain "$dashboard counts refusals that no alert counts: $set"
done < <(causes "$dashboard")

verdict=$(grep '"expr"' "$dashboard" | grep -F '* min(up{')
[ -n "$verdict" ] || complain "$dashboard has no verdict"
# Name, expression and severity of each rule of the edge, in a line of its own.
expressions=$(sed -n '/name: runledger-edge/,/name: runledgerd/p' "$rules" |
    awk '/- alert:/ {name = $3} /expr:/ {expr = $0} /severity:/ {print name, expr, $0}')
while read -r alert expression; do
    [[ $expression == *critical* && $expression == *runledger_edge_* && $expression != *_total* ]] || continue
    for metric in $(grep -oE 'runledger_edge_[a-z_]+' <<<"$expression"); do
        grep -qF "$metric{" <<<"$verdict" || complain "the verdict of $dashboard does not know $metric of $alert"
    done
done <<<"$expressions"
exit $status

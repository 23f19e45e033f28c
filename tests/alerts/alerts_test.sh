#!/usr/bin/env bash
# The alert rules and what they lean on: every metric they ask for is in docs/metrics.md, every runbook is a heading of
# the document that it names, every alert is tested, and docs/operations.md lists each with its severity and runbook.
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
exit $status

#!/usr/bin/env bash
# The alert rules and what they lean on: every metric they ask for is in docs/metrics.md, every runbook is a heading of
# the document that it names, and every alert is tested.
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
exit $status

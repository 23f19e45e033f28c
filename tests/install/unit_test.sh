#!/usr/bin/env bash
# unit_test.sh SOURCE: systemd knows every line of the unit, and never gives up restarting a daemon that has crashed: by
# its default it does after five starts in ten seconds, and a batch that kills daemons is set apart after four.
set -u
unit=$1/config/systemd/runledgerd.service
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
status=0
sed 's|/usr/bin/runledgerd|/bin/true|' "$unit" >"$tree/runledgerd.service"
complaints=$(systemd-analyze verify --man=no --recursive-errors=no "$tree/runledgerd.service" 2>&1) && [ -z "$complaints" ] || {
    printf 'systemd-analyze verify says:\n%s\n' "$complaints"
    status=1
}
for line in '[Unit] StartLimitIntervalSec=0' '[Service] Restart=always'; do
    awk '/^\[/ { section = $0 } { print section, $0 }' "$unit" | grep -qxF -- "$line" || {
        echo "the unit lacks $line"
        status=1
    }
done
exit $status

#!/usr/bin/env bash
# Sends webhooks to a receiver by the npm package standardwebhooks: a right one, tampered ones, rotation with two
# secrets, and a receiver that is away under load. Needs node and npm, and fetches the package; half a minute after the
# build. RUNLEDGER_AWAY_SECONDS=3600 has the receiver away for an hour, and
# RUNLEDGER_AWAY_RUNS_PER_SECOND=5 paces the load.
#
#   tests/webhooks/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
case ${1:-} in -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
for program in node npm; do
    command -v $program >/dev/null || { echo "$program is missing: install Debian's packages nodejs and npm" >&2; exit 1; }
done
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
cp tests/webhooks/package.json "$packages"
npm install --prefix "$packages" --no-audit --no-fund --no-package-lock --ignore-scripts --silent
chmod -R a+rX "$packages"
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build --preset release --target webhooks_integration_test
RUNLEDGER_NODE_PACKAGES=$packages build/release/tests/integration/webhooks/webhooks_integration_test \
    --gtest_filter='StandardWebhooks.*'

#!/usr/bin/env bash
# What webhooks cost the messages to Telegram at 200 settled runs a second, by webhooks_beside_telegram.cpp. Writes
# docs/benchmarks/webhooks.md. Needs the targets of runledger_bench, and seven minutes.
#
#   tests/bench/webhooks.sh [--seconds N] [--pairs N] [--print]
#
#   --seconds N   of each half of a pair instead of 6
#   --pairs N     instead of 25
#   --print       print the page instead of writing it
set -euo pipefail
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
fail() { echo "webhooks: $*" >&2; exit 1; }

seconds=6 pairs=25 page=$source_dir/docs/benchmarks/webhooks.md
while [ $# -gt 0 ]; do
    case $1 in
        --seconds) seconds=${2:?--seconds wants a number}; shift 2 ;;
        --pairs) pairs=${2:?--pairs wants a number}; shift 2 ;;
        --print) page=/dev/stdout; shift ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "'$1' is no option; see --help" ;;
    esac
done
program=$source_dir/build/release/tests/bench/webhooks_beside_telegram_bench
[ -x "$program" ] || fail "$program is not built"
printed=$(RUNLEDGER_BENCH_SECONDS=$seconds RUNLEDGER_BENCH_PAIRS=$pairs "$program") || { echo "$printed" >&2; exit 1; }
machine="$(nproc) × $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1), $(awk '/MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo) GiB"
cat >"$page" <<PAGE
# Webhooks beside Telegram

The time from the COMMIT of a settlement until Telegram's stand-in has the message, without webhooks and with one for
each settlement. \`tests/bench/webhooks.sh\` writes this page. Everything runs on the same cores: nginx, the daemon,
PostgreSQL, the sender of the events, both receivers. The daemon is reloaded between the halves of a pair; the last line
has the medians of the pairs' ratios. The goal is 1.00 at p50. The halves are short and the pairs many, because the
machine is faster at one minute than at the next.

Written on $(date +%F) ($machine).

\`\`\`
$(grep -v '^\[\|^Running main\|^Note:\|^$' <<<"$printed")
\`\`\`
PAGE
[ "$page" = /dev/stdout ] || echo "written: docs/benchmarks/webhooks.md"

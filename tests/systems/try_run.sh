#!/usr/bin/env bash
# ./run as somebody tries it: starts it, does what it says to try, and ends it. Called by run.sh, inside a system.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=$(mktemp)
fail() { echo "FAILED: $*"; tail -n 40 "$output"; exit 1; }

./run --port $((20000 + RANDOM % 5000 * 2)) >"$output" 2>&1 &
run=$!
until grep -q '^Ctrl-C stops everything' "$output"; do
    kill -0 $run 2>/dev/null || fail "./run ended"
    sleep 1
done
grep -E '^(==|runledger is serving)' "$output"

commands=$(sed -n '/^Try, in another terminal:/,$p' "$output" | grep -E '^(psql|curl|sleep|grep) ')
[ "$(grep -c . <<<"$commands")" -eq 6 ] || fail "./run prints other commands than this test knows"
said=$(bash -euo pipefail -c "$(sed 's/^psql /sleep 1\npsql /; s/^grep /sleep 3\ngrep /' <<<"$commands")" 2>&1) || fail "$said"
printf '%s\n' "$said"
grep -qE '^status +\| completed' <<<"$said" || fail "the run is not settled"
grep -qE '^cost_usd +\| 0\.000[0-9]+' <<<"$said" || fail "the run has no cost"
grep -q 'chat=42' <<<"$said" || fail "nobody would get a message"

kill -TERM $run
wait $run || fail "./run did not end cleanly"
grep '^stopped; the state is in' "$output" || fail "./run did not say that it stopped"
rm -f "$output"

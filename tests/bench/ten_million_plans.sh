#!/usr/bin/env bash
# Each view whole, and each query of sql/examples, with the shortest time of three runnings and the scans of its plan, as
# a table in Markdown; then the plans. Called by ten_million.sh; DIR is the folder of a server that it kept.
#
#   tests/bench/ten_million_plans.sh DIR [PATTERN]     only those whose names match, an extended regular expression
set -euo pipefail
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:?the folder of the server} pattern=${2:-.}
bin=$("$source_dir/config/packages/postgresql.sh")
sql() { "$bin/psql" -X -q -At -v ON_ERROR_STOP=1 -h "$folder" -U postgres -d runledger "$@"; }
plans=$(mktemp)
trap 'rm -f "$plans"' EXIT

execution_ms() { sed -nE 's/^Execution Time: ([0-9.]+) ms$/\1/p'; }

explain() {  # name, query
    [[ $1 =~ $pattern ]] || return 0
    local plan='' time='' once running scans
    for running in 1 2 3; do
        once=$(sql -c "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS) $2")
        if [ -z "$time" ] || awk -v a="$(execution_ms <<<"$once")" -v b="$time" 'BEGIN { exit !(a < b) }'; then
            plan=$once
            time=$(execution_ms <<<"$once")
        fi
    done
    scans=$(sed -nE 's/^ *(-> *)?((Parallel )?(Index Only|Index|Bitmap Heap|Bitmap Index|Seq) Scan)( Backward)?( using [a-z0-9_]+)?( on [a-z0-9_]+).*$/\2\6\7/p' \
        <<<"$plan" | sed 's/ using / /; s/ on / /' | sort -u | paste -sd, | sed 's/,/, /g')
    printf '| `%s` | %s | %s |\n' "$1" "$time ms" "$scans"
    printf '\n-- %s\n%s\n' "$1" "$plan" >>"$plans"
}

echo '| view, whole | time | reads |'
echo '| --- | --- | --- |'
for view in $(sql -c "SELECT relname FROM pg_class WHERE relnamespace = 'runledger'::regnamespace AND relkind = 'v' ORDER BY 1"); do
    explain "$view" "SELECT * FROM runledger.$view"
done
echo
echo '| query | time | reads |'
echo '| --- | --- | --- |'
for example in "$source_dir"/sql/examples/*.sql; do
    explain "$(basename "$example" .sql)" "$(grep -v '^--' "$example")"
done
cat "$plans"

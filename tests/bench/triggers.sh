#!/usr/bin/env bash
# What the columns of grouping and the triggers of groups, news and closed months cost an INSERT and a settlement: two
# databases of a private PostgreSQL, one as `runledger migrate` makes it, with a closed month, and one without these
# columns and triggers, in turns (triggers.sql). Writes docs/benchmarks/triggers.md. Takes two minutes.
#
#   tests/bench/triggers.sh [--rows N] [--rounds N] [--print]
#
#   --rows N      rows in each round instead of 4000
#   --rounds N    instead of 8
#   --print       print the page instead of writing it
set -euo pipefail
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
. "$source_dir/tests/bench/private_postgres.sh"

rows=4000 rounds=8 page=$source_dir/docs/benchmarks/triggers.md
while [ $# -gt 0 ]; do
    case $1 in
        --rows) rows=${2:?--rows wants a number}; shift 2 ;;
        --rounds) rounds=${2:?--rounds wants a number}; shift 2 ;;
        --print) page=/dev/stdout; shift ;;
        -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "'$1' is no option; see --help" ;;
    esac
done
check_number --rows "$rows"
check_number --rounds "$rounds"
make_postgres triggers '' <<CONF
shared_buffers = '512MB'
autovacuum = off
CONF

# A year's worth of small months, so that the views and the closed month have something to look through.
sql -v rows=100000 -f "$source_dir/tests/bench/ten_million_load.sql" >/dev/null
sql -c "SELECT runledger.close_period(to_char(now() - interval '1 month', 'YYYY-MM'), true)" >/dev/null
"$bin/createdb" -h "$folder" -U postgres -T runledger without
"$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$folder" -U postgres -d without >/dev/null <<'SQL'
SET client_min_messages = warning;
ALTER TABLE runledger.generations
    DROP COLUMN group_key CASCADE, DROP COLUMN group_size CASCADE, DROP COLUMN account_key CASCADE,
    DROP COLUMN tool_key CASCADE;
-- It went with the columns that it includes.
CREATE INDEX generations_costs_by_day_idx ON runledger.generations (response_timestamp)
    INCLUDE (id, status, telegram_chat_id, duration_ms, cost_usd) WHERE response_timestamp IS NOT NULL;
SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname) FROM pg_trigger
WHERE NOT tgisinternal
  AND tgname ~ '^(generations_queue_group|notifications_tell|telegram_chats_tell|settle_queue_tell|settlements_(hold|post))'
\gexec
VACUUM (FULL, ANALYZE) runledger.generations;
SQL

first=1
measure() {  # database, keys
    "$bin/psql" -X -h "$folder" -U postgres -d "$1" -v first="$first" -v rows="$rows" -v keys="$2" \
        -f "$source_dir/tests/bench/triggers.sql"
}
# A line a round and kind: keys, INSERT, settle, look at the groups; without, with.
for ((round = 0; round <= rounds; ++round)); do  # The first one warms what has just been made.
    for keys in false true; do
        if ((round % 2 == 0)); then
            without=$(measure without "$keys")
            with=$(measure runledger "$keys")
        else
            with=$(measure runledger "$keys")
            without=$(measure without "$keys")
        fi
        first=$((first + rows))
        ((round == 0)) || echo "$keys $without $with"
    done
done >"$folder/rounds"

# Medians of a column and of a ratio of two columns.
median_of() {  # keys, awk expression
    awk -v keys="$1" '$1 == keys { print '"$2"' }' "$folder/rounds" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
line() {  # what, keys, column without, column with
    printf '| %s | %.0f µs | %.0f µs | %.2f |\n' "$1" "$(median_of "$2" "\$$3")" "$(median_of "$2" "\$$4")" \
        "$(median_of "$2" "\$$4 / \$$3")"
}
machine="$(nproc) × $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1), $(awk '/MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo) GiB"
cat >"$page" <<PAGE
# What grouping, news and closed months cost

PostgreSQL's time for a row, without and with the four columns \`group_key\`, \`group_size\`, \`account_key\` and
\`tool_key\`, the triggers that queue groups, write news and post corrections, and a closed month. \`tests/bench/triggers.sh\`
writes this page. Both databases are in one server, in $rounds alternating rounds of $rows rows, with fsync off: a commit
that syncs hides a part of the cost. The ratio is the median of the rounds' ratios.

Written on $(date +%F) ($machine; PostgreSQL $(sql -At -c 'SHOW server_version' | cut -d' ' -f1)).

| for a row | without | with | ratio |
| --- | --- | --- | --- |
$(line "INSERT, no such key in \`metadata\`" false 2 5)
$(line "INSERT, all four in \`metadata\`" true 2 5)
$(line "settle, no such key" false 3 6)
$(line "settle, a member of a group of five" true 3 6)

The look at the groups follows in a transaction of its own, which nobody waits for: $(printf '%.0f' "$(median_of true '$7')") µs a member.
PAGE
[ "$page" = /dev/stdout ] || echo "written: docs/benchmarks/triggers.md"

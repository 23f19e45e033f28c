#!/usr/bin/env bash
# How long `runledger export focus` takes for a month of a million charges, and how much memory: a private PostgreSQL in
# a temporary folder is migrated and filled with the runs of one month (ten_million_load.sql), the month is exported
# three times, and all of it is removed again. Writes docs/benchmarks/focus.md. Needs some 4 GB there, and a minute.
#
#   tests/bench/focus_export.sh [--rows N] [--folder DIR] [--print]
#
#   --rows N      generations in the month instead of 1090000, of which a million have a cost
#   --folder DIR  where the cluster goes; must not exist; removed at the end
#   --print       print the page instead of writing it
set -euo pipefail
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
. "$source_dir/tests/bench/private_postgres.sh"

rows=1090000 folder='' page=$source_dir/docs/benchmarks/focus.md
while [ $# -gt 0 ]; do
    case $1 in
        --rows) rows=${2:?--rows wants a number}; shift 2 ;;
        --folder) folder=${2:?--folder wants a path}; shift 2 ;;
        --print) page=/dev/stdout; shift ;;
        -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "'$1' is no option; see --help" ;;
    esac
done
check_number --rows "$rows"
make_postgres focus-export "$folder" <<CONF
shared_buffers = '512MB'
CONF
# All in the month before this one, however short.
sql -v rows="$rows" -v days=28 -v until="date_trunc('month', now())" -f "$source_dir/tests/bench/ten_million_load.sql" \
    >/dev/null
month=$(sql -At -c "SELECT to_char(date_trunc('month', now()) - interval '1 month', 'YYYY-MM')")

# Seconds, and the peak of the tool's memory in MiB. Exit code 3: what has no cost is left out.
measure() {  # month, file
    /usr/bin/python3 -B - "$tool" "$folder/runledgerd.toml" "$1" "$2" <<'PYTHON'
import resource, subprocess, sys, time
tool, config, month, file = sys.argv[1:]
begun = time.monotonic()
code = subprocess.run([tool, "--config", config, "export", "focus", "--month", month, "--output", file],
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
seconds = time.monotonic() - begun
if code not in (0, 3):
    sys.exit(f"export ended with code {code}")
print(f"{seconds:.1f} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f}")
PYTHON
}
empty=$(measure 2000-01 "$folder/empty.csv")
best=''
for _ in 1 2 3; do
    once=$(measure "$month" "$folder/month.csv")
    if [ -z "$best" ] || awk -v a="${once% *}" -v b="${best% *}" 'BEGIN { exit !(a < b) }'; then
        best=$once
    fi
done
charges=$(($(wc -l <"$folder/month.csv") - 1))
bytes=$(stat -c %s "$folder/month.csv")
# The same bytes by nothing but PostgreSQL, as the measure of what the tool adds.
begun=$(date +%s%N)
sql -c "COPY (SELECT * FROM runledger.focus_costs_v1) TO STDOUT WITH (FORMAT csv)" >"$folder/copy.csv"
copy=$(awk -v ns="$(($(date +%s%N) - begun))" 'BEGIN { printf "%.1f", ns / 1e9 }')
machine="$(nproc) × $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1), $(awk '/MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo) GiB"

cat >"$page" <<PAGE
# A month as FOCUS

\`runledger export focus\` of a month with $(sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta' <<<"$charges") charges, the shortest of three. Written by
\`tests/bench/focus_export.sh\` on $(date +%F) ($machine; PostgreSQL $(sql -At -c 'SHOW server_version' | cut -d' ' -f1)).

| | time | peak memory of the tool | file |
| --- | --- | --- | --- |
| the month | ${best% *} s | ${best#* } MiB | $((bytes / 1048576)) MiB |
| an empty month | ${empty% *} s | ${empty#* } MiB | the heading |
| PostgreSQL's own COPY of the view, without the tool | $copy s | | |

Memory does not grow with the number of charges: the tool fetches 2,000 at a time by a cursor, and the server reads rows
in the order of \`generations_costs_by_day_idx\`, each with its settlement, and sorts nothing.
PAGE
[ "$page" = /dev/stdout ] || echo "written: docs/benchmarks/focus.md"

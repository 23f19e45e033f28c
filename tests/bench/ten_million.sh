#!/usr/bin/env bash
# What the readers' views and the twenty queries of docs/dba.md cost at ten million generations: a private PostgreSQL in
# a temporary folder is migrated and filled (ten_million_load.sql), each query is explained and run, and all of it is
# removed again. Needs some 16 GB there.
#
#   tests/bench/ten_million.sh [--rows N] [--folder DIR] [--keep]
#
#   --rows N      instead of 10000000
#   --folder DIR  where the cluster goes; must not exist; removed at the end
#   --keep        leave the folder and the running server, and say how to reach and to end it
set -euo pipefail
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
. "$source_dir/tests/bench/private_postgres.sh"

rows=10000000 folder=''
while [ $# -gt 0 ]; do
    case $1 in
        --rows) rows=${2:?--rows wants a number}; shift 2 ;;
        --folder) folder=${2:?--folder wants a path}; shift 2 ;;
        --keep) keep=yes; shift ;;
        -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "'$1' is no option; see --help" ;;
    esac
done
check_number --rows "$rows"
make_postgres ten-million "$folder" <<CONF
shared_buffers = '2GB'
effective_cache_size = '8GB'
work_mem = '64MB'
random_page_cost = 1.1
autovacuum = off
CONF

begun=$SECONDS
sql -v rows="$rows" -f "$source_dir/tests/bench/ten_million_load.sql" >/dev/null
echo "loaded $rows generations in $((SECONDS - begun)) s"
echo
sql -f "$source_dir/tests/bench/ten_million_sizes.sql"
"$source_dir/tests/bench/ten_million_plans.sh" "$folder"

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
fail() { echo "ten_million: $*" >&2; exit 1; }
bin=$("$source_dir/config/packages/postgresql.sh") || fail "PostgreSQL is not installed"

rows=10000000 folder='' keep=''
while [ $# -gt 0 ]; do
    case $1 in
        --rows) rows=${2:?--rows wants a number}; shift 2 ;;
        --folder) folder=${2:?--folder wants a path}; shift 2 ;;
        --keep) keep=yes; shift ;;
        -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "'$1' is no option; see --help" ;;
    esac
done
case $rows in '' | *[!0-9]*) fail "--rows '$rows' is no number" ;; esac
tool=$source_dir/build/release/daemon/runledger
[ -x "$tool" ] || fail "$tool is not built"
if [ -n "$folder" ]; then
    mkdir "$folder"
    folder=$(cd "$folder" && pwd)
else
    folder=$(mktemp -d "${TMPDIR:-/tmp}/runledger-ten-million.XXXXXX")
fi

# PostgreSQL refuses to run as root.
as_user=()
if [ "$(id -u)" -eq 0 ]; then
    as_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
    chown nobody:nogroup "$folder"
fi
stop() { "${as_user[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true; }
finish() {
    if [ -n "$keep" ]; then
        echo "kept: psql -h $folder -U postgres runledger; end it with pg_ctl -D $folder/data stop"
        return
    fi
    stop
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

"${as_user[@]}" "$bin/initdb" -D "$folder/data" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
cat >>"$folder/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$folder'
shared_buffers = '2GB'
effective_cache_size = '8GB'
work_mem = '64MB'
random_page_cost = 1.1
max_wal_size = '512MB'
wal_level = minimal
max_wal_senders = 0
fsync = off
full_page_writes = off
autovacuum = off
timezone = 'UTC'
CONF
nice -n 10 "${as_user[@]}" "$bin/pg_ctl" -D "$folder/data" -l "$folder/data/log" -w start >/dev/null
sql() { "$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$folder" -U postgres -d runledger "$@"; }
"$bin/createdb" -h "$folder" -U postgres runledger
printf '[postgres]\nuri = "postgresql://postgres@/runledger?host=%s"\n' "$folder" >"$folder/runledgerd.toml"
"$tool" --config "$folder/runledgerd.toml" migrate >/dev/null

begun=$SECONDS
sql -v rows="$rows" -f "$source_dir/tests/bench/ten_million_load.sql" >/dev/null
echo "loaded $rows generations in $((SECONDS - begun)) s"
echo
sql -f "$source_dir/tests/bench/ten_million_sizes.sql"
"$source_dir/tests/bench/ten_million_plans.sh" "$folder"

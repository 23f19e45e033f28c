# shellcheck shell=bash disable=SC2154,SC2164  # source_dir is the caller's; it has set -e.
# A PostgreSQL of its own for a measurement, migrated by the build's `runledger`, in a folder that is removed at the
# end. Sourced, with `source_dir` set and `set -e`. `keep` is not empty: the folder and the running server stay.
#
#   make_postgres NAME FOLDER <<CONF    FOLDER: where the cluster goes, which must not exist; '': a temporary one, with
#                                       NAME in its own. CONF: further lines of postgresql.conf
#
# Then the shell is in $folder, $bin has PostgreSQL's programs, $tool with --config $folder/runledgerd.toml is the
# operator's tool, and sql runs psql as the superuser in the database runledger. Nothing is synced: a measurement of
# writes must say so.
fail() { echo "$(basename "$0" .sh): $*" >&2; exit 1; }
bin=$("$source_dir/config/packages/postgresql.sh") || fail "PostgreSQL is not installed"
tool=$source_dir/build/release/daemon/runledger
keep=''

check_number() {  # option, value
    case $2 in '' | *[!0-9]*) fail "$1 '$2' is no number" ;; esac
}

sql() { "$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$folder" -U postgres -d runledger "$@"; }

remove_postgres() {
    if [ -n "$keep" ]; then
        echo "kept: psql -h $folder -U postgres runledger; end it with pg_ctl -D $folder/data stop"
        return
    fi
    "${as_user[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}

make_postgres() {
    [ -x "$tool" ] || fail "$tool is not built"
    if [ -n "$2" ]; then
        mkdir "$2"
        folder=$(cd "$2" && pwd)
    else
        folder=$(mktemp -d "${TMPDIR:-/tmp}/runledger-$1.XXXXXX")
    fi
    # PostgreSQL refuses to run as root.
    as_user=()
    if [ "$(id -u)" -eq 0 ]; then
        as_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
        chown nobody:nogroup "$folder"
    fi
    trap remove_postgres EXIT
    cd "$folder"
    "${as_user[@]}" "$bin/initdb" -D "$folder/data" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    cat >>"$folder/data/postgresql.conf"
    cat >>"$folder/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$folder'
max_wal_size = '512MB'
wal_level = minimal
max_wal_senders = 0
fsync = off
full_page_writes = off
timezone = 'UTC'
CONF
    "${as_user[@]}" "$bin/pg_ctl" -D "$folder/data" -l "$folder/data/log" -w start >/dev/null
    "$bin/createdb" -h "$folder" -U postgres runledger
    printf '[postgres]\nuri = "postgresql://postgres@/runledger?host=%s"\n' "$folder" >"$folder/runledgerd.toml"
    "$tool" --config "$folder/runledgerd.toml" migrate >/dev/null
}

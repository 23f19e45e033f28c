#!/usr/bin/env bash
# Each transaction of the daemon's stages says its durability, isolation and bounds first, and connections are made in
# one place: elsewhere nobody forbids libpqxx to open them anew.
set -u
cd "$1" || exit 1
status=0
begun=$(grep -nE 'pqxx::work [a-z_]+\(database_' daemon/*.cpp | wc -l)
if [ "$begun" -lt 5 ]; then  # There were 7: the pattern no longer finds them, and the test would say nothing.
    printf 'only %s transactions are found in daemon/\n' "$begun"
    exit 1
fi
while IFS=: read -r file line _; do
    if ! sed -n "$((line + 1))p" "$file" | grep -qE 'begin_durably\('; then
        printf '%s:%s: a transaction that does not begin with begin_durably()\n' "$file" "$line"
        status=1
    fi
done < <(grep -nE 'pqxx::(work|transaction<.*>) [a-z_]+\(database_' daemon/*.cpp)
made=$(grep -lE 'make_unique<pqxx::connection>|pqxx::connection [a-z_]+[({]|pqxx::lazyconnection|pqxx::asyncconnection' \
    -r daemon common | grep -v '^daemon/database.cpp$')
if [ -n "$made" ]; then
    printf 'a connection is made outside daemon/database.cpp: %s\n' $made
    status=1
fi
if grep -rnE '(^|[^a-z_])SET (SESSION |)(statement_timeout|lock_timeout|synchronous_commit|search_path|TIME ZONE)|\.prepare\(|exec_prepared|pg_advisory_lock\(' \
    daemon/*.cpp sql/queries | grep -v '^daemon/schema.cpp:'; then
    printf 'state of a session, which a pooler may give to somebody else\n'
    status=1
fi
exit $status

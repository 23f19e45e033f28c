#!/usr/bin/env bash
# Each transaction of the daemon's stages says its durability, isolation and bounds first, every transaction says where
# names are looked up, and connections are made in one place: elsewhere nobody forbids libpqxx to open them anew.
set -u
cd "$1" || exit 1
status=0
begun=$(grep -nE '^ *Transaction [a-z_]+\(database_' daemon/{base,net,database,ingest,settle,reconcile,notify,telegram}/*.cpp | wc -l)
if [ "$begun" -lt 8 ]; then  # There were 14: the pattern no longer finds them, and the test would say nothing.
    printf 'only %s transactions are found in daemon/\n' "$begun"
    exit 1
fi
if grep -nE 'pqxx::(work|transaction<.*>) [a-z_]+\(database_' daemon/{base,net,database,ingest,settle,reconcile,notify,telegram}/*.cpp; then
    printf 'a transaction of a stage that is no Transaction, and so does not begin durably\n'
    status=1
fi
# A transaction is followed by one of the two, on the next line. A Transaction says it itself.
unguarded=$(grep -rnE -A1 '^ *(pqxx::(work|read_transaction|transaction<.*>)|Snapshot) [a-z_]+\(' daemon --include='*.cpp' |
    awk '/^--$/ { next } begun != "" { if (!/begin_durably|secure_search_path/) print begun; begun = ""; next } { begun = $0 }')
if [ -n "$unguarded" ]; then
    printf 'a transaction that looks names up where others may have made them:\n%s\n' "$unguarded"
    status=1
fi
made=$(grep -lE 'make_unique<pqxx::connection>|pqxx::connection [a-z_]+[({]|pqxx::lazyconnection|pqxx::asyncconnection' \
    -r daemon common | grep -v '^daemon/database/database.cpp$')
if [ -n "$made" ]; then
    printf 'a connection is made outside daemon/database/database.cpp: %s\n' $made
    status=1
fi
if grep -rnE '(^|[^a-z_])SET (SESSION |)(statement_timeout|lock_timeout|synchronous_commit|search_path|TIME ZONE)|\.prepare\(|exec_prepared|pg_advisory_lock\(' \
    daemon/{base,net,database,ingest,settle,reconcile,notify,telegram}/*.cpp sql/queries | grep -v -e '^daemon/database/schema.cpp:' -e '^daemon/database/database.cpp:.*prepare(' -e 'SECURITY DEFINER SET search_path'; then
    printf 'state of a session, which a pooler may give to somebody else\n'
    status=1
fi
exit $status

#!/usr/bin/env bash
# That transactions begin durably and connections are made in one place, the types say: only daemon/database/ can have a
# connection. What they can't say: nothing is left in a session, which a pooler may give to somebody else. (One line of
# begin_own_session, which has refused a pooler, may: it sets idle_session_timeout, too.)
set -u
cd "$1" || exit 1
status=0
made=$(grep -lE 'pqxx::(connection|lazyconnection|asyncconnection|work|transaction)\b' -r daemon common |
    grep -v '^daemon/database/')
if [ -n "$made" ]; then
    printf 'libpqxx'\''s own connection or transaction outside daemon/database/: %s\n' $made
    status=1
fi
if grep -rnE '(^|[^a-z_])SET (SESSION |)(statement_timeout|lock_timeout|synchronous_commit|search_path|TIME ZONE)|\.prepare\(|exec_prepared|pg_advisory_lock\(' \
    daemon/{base,net,database,ingest,settle,reconcile,notify,telegram,tell,overview,web}/*.?pp sql/queries | grep -v -e ':[0-9]*: *//' -e '^daemon/database/schema.cpp:' -e '^daemon/database/transaction.cpp:.*prepare(' -e '^daemon/database/libpqxx.hpp:.*exec_prepared' -e '^daemon/database/transaction.cpp:.*SET idle_session_timeout' -e 'SECURITY DEFINER SET search_path'; then
    printf 'state of a session, which a pooler may give to somebody else\n'
    status=1
fi
# A Transaction and a Snapshot say where names are looked up; what the schema's own files begin says it on the next line.
unguarded=$(grep -nE -A1 '^ *pqxx::work [a-z_]+\(' daemon/database/schema.cpp daemon/database/adopt.cpp |
    awk '/^--$/ { next } begun != "" { if (!/begin_durably|secure_search_path/) print begun; begun = ""; next } { begun = $0 }')
if [ -n "$unguarded" ]; then
    printf 'a transaction that looks names up where others may have made them:\n%s\n' "$unguarded"
    status=1
fi
exit $status

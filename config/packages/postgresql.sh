#!/usr/bin/env bash
# Prints the folder of PostgreSQL's programs (initdb, postgres, psql, …): of the newest version from 17 to 14 that is
# installed, else of the one that pg_config belongs to. RUNLEDGER_POSTGRESQL chooses another: a version that Debian has
# (16), or such a folder. Used by ./run, the tests and the measurements. Exits with 1 if there is none.
set -euo pipefail
wanted=${RUNLEDGER_POSTGRESQL:-}
case $wanted in
    '') candidates=(/usr/lib/postgresql/{17,16,15,14}/bin) ;;
    */*) candidates=("$wanted") ;;
    *) candidates=("/usr/lib/postgresql/$wanted/bin") ;;
esac
if [ -z "$wanted" ] && command -v pg_config >/dev/null; then
    candidates+=("$(pg_config --bindir)")
fi
for folder in "${candidates[@]}"; do
    if [ -x "$folder/initdb" ]; then
        echo "$folder"
        exit 0
    fi
done
echo "PostgreSQL's initdb is not in ${candidates[*]}" >&2
exit 1

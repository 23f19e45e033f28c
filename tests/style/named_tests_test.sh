#!/usr/bin/env bash
# Every test that docs/http.md names is there: a table of promises must not outlive what keeps them.
set -u
cd "$1" || exit 1
names=$(grep -oE '`[A-Z][A-Za-z0-9]+\.[A-Z][A-Za-z0-9]+`' docs/http.md | tr -d '`' | sort -u)
count=$(grep -c . <<<"$names")
if [ "$count" -lt 50 ]; then  # There were 63: the pattern no longer finds them, and the test would say nothing.
    printf 'only %s tests are named in docs/http.md\n' "$count"
    exit 1
fi
sources=$(cat tests/integration/edge/*_test.cpp | tr -s ' \n' ' ')  # A name may stand on its suite's next line.
status=0
while read -r name; do
    if ! grep -qE "TEST(_F|_P)?\(${name%.*}, ?${name#*.}\)" <<<"$sources"; then
        printf 'docs/http.md names a test that is not there: %s\n' "$name"
        status=1
    fi
done <<<"$names"
exit $status

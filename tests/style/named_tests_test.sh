#!/usr/bin/env bash
# Every test that a document names is there: a table of promises must not outlive what keeps them.
set -u
cd "$1" || exit 1
# docs/mutations.md is written by tests/mutation/run.pl, which runs the tests that it names.
documents=$(ls ./*.md docs/*.md | grep -v mutations.md)
# shellcheck disable=SC2086  # Several files.
names=$(grep -ohE '`[A-Z][A-Za-z0-9]+\.[A-Z][A-Za-z0-9]+`' $documents | tr -d '`' | sort -u |
    grep -v '^Taxonomy\.')  # Cases of one test, which writes its table in docs/telegram.md itself.
count=$(grep -c . <<<"$names")
if [ "$count" -lt 60 ]; then  # The pattern no longer finds them, and the test would say nothing.
    printf 'only %s tests are named in the documents\n' "$count"
    exit 1
fi
sources=$(find tests -name '*_test.cpp' -exec cat {} + | tr -s ' \n' ' ')  # A name may stand on its suite's next line.
status=0
while read -r name; do
    if ! grep -qE "TEST(_F|_P)?\(${name%.*}, ?${name#*.}\)" <<<"$sources"; then
        printf 'a document names a test that is not there: %s\n' "$name"
        status=1
    fi
done <<<"$names"
exit $status

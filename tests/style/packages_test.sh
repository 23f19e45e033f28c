#!/usr/bin/env bash
# Each supported Debian has its own list of packages, and the lists differ in versions alone: a package that was added to
# one is in the others, too.
set -u
cd "$1" || exit 1
status=0
for kind in run test; do
    for list in config/packages/debian-*-"$kind".txt; do
        first=${first:-$list}
        if ! difference=$(diff <(sed -E '/^#/d; s/-[0-9]+\b/-N/' "$first") <(sed -E '/^#/d; s/-[0-9]+\b/-N/' "$list")); then
            printf '%s and %s do not name the same packages:\n%s\n' "$first" "$list" "$difference"
            status=1
        fi
    done
    unset first
done
for release in 12 13; do
    [ -s config/packages/debian-$release-run.txt ] && [ -s config/packages/debian-$release-test.txt ] || {
        printf 'Debian %s has no list\n' "$release"
        status=1
    }
done
exit $status

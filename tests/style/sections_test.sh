#!/usr/bin/env bash
# An example in a document repeats no section of config/runledgerd.toml, because TOML refuses a second [page] in a file.
# It says "In the section [page]" instead, and shows the keys.
set -u
cd "$1" || exit 1
sections=$(grep -oE '^\[[a-z.]+\]$' config/runledgerd.toml)
count=$(grep -c . <<<"$sections")
if [ "$count" -lt 8 ]; then  # The pattern no longer finds them, and the test would say nothing.
    printf 'only %s sections are in config/runledgerd.toml\n' "$count"
    exit 1
fi
if found=$(grep -nE '^\s*\[[a-z.]+\](\s|$)' README.md docs/*.md | grep -F "$sections"); then
    printf 'the shipped file has this section already:\n%s\n' "$found"
    exit 1
fi

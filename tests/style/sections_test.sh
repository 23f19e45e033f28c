#!/usr/bin/env bash
# Sections of documents, and of the configuration in them.
set -u
cd "$1" || exit 1
status=0
# A document that begins with its contents has every section in them.
for document in docs/operations.md docs/howto.md; do
    contents=$(sed '/^## /,$d' "$document" | grep -oE '\]\(#[a-z0-9-]+\)' | tr -d '](#)')
    while read -r anchor; do
        if ! grep -qx -- "$anchor" <<<"$contents"; then
            printf 'the contents of %s lack #%s\n' "$document" "$anchor"
            status=1
        fi
    done < <(sed -nE 's/^##+ //p' "$document" | tr '[:upper:] ' '[:lower:]-' | tr -cd 'a-z0-9\n-')
done
# An example in a document repeats no section of config/runledgerd.toml, because TOML refuses a second [page] in a file.
# It says "In the section [page]" instead, and shows the keys.
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
exit $status

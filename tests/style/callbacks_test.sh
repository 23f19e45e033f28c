#!/usr/bin/env bash
# What nginx calls is noexcept: an exception through nginx's frames would kill the worker and every request in it.
#
# Our own functions take nginx's objects by reference; a pointer to one, or void*, as the first parameter is the
# signature of a callback. A const pointer (a log to write to) is none.
set -u
cd "$1" || exit 1
callbacks=$(grep -nE '(\]|[A-Za-z0-9_]|>)\((ngx_[a-z_]+_t|void)\*( [a-z_]+)?[,)]' nginx-module/*.?pp nginx-module/*/*.?pp)
count=$(grep -c . <<<"$callbacks")
if [ "$count" -lt 15 ]; then  # There were 27: the pattern no longer finds them, and the test would say nothing.
    printf 'only %s callbacks were found\n' "$count"
    exit 1
fi
if unguarded=$(grep -v ') noexcept' <<<"$callbacks"); then
    printf 'nginx calls these, and they are not noexcept:\n%s\n' "$unguarded"
    exit 1
fi

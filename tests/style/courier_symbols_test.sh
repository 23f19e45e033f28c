#!/usr/bin/env bash
# The courier's thread never calls nginx: its library asks the linker for no symbol of nginx's. What it includes is
# the build's business; this test also sees a declaration written by hand.
set -u
symbols=$(nm --undefined-only "$@") || exit 1
if ! grep -q 'zmq_' <<<"$symbols"; then  # Otherwise this is not the library with the courier in it.
    printf '%s: none uses libzmq\n' "$*"
    exit 1
fi
if found=$(grep -E '(^|[^a-z])ngx_' <<<"$symbols"); then
    printf '%s: calls nginx:\n%s\n' "$*" "$found"
    exit 1
fi

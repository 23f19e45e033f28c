#!/usr/bin/env bash
# clang-tidy finds nothing in what is shipped: .clang-tidy says what it looks for.
#
#   tests/style/tidy.sh [build tree]     default build/release, which must be configured
set -u
cd "$(dirname "$0")/../.." || exit 1
tidy=$(compgen -c clang-tidy- | grep -xE 'clang-tidy-[0-9]+' | sort -V | head -n 1)
[ -n "$tidy" ] || { echo "clang-tidy is not installed" >&2; exit 1; }
# GCC's own options are no fault of the code's: this one stops clang, as do headers that GCC precompiled; unknown
# warnings only make it talk.
database=$(mktemp -d)
trap 'rm -rf "$database"' EXIT
sed -E 's/ -fno-gnu-unique//g; s/ -include [^ ]*cmake_pch\.hxx//g' "${1:-build/release}/compile_commands.json" >"$database/compile_commands.json"
find common nginx-module daemon -name '*.cpp' | sort |
    xargs -P "$(nproc)" -n 4 "$tidy" -p "$database" --quiet --extra-arg=-Wno-unknown-warning-option

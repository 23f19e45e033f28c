#!/usr/bin/env bash
# clang-tidy finds nothing in what is shipped: .clang-tidy says what it looks for.
#
#   tests/style/tidy.sh [build tree]     default build/release, which must be configured
set -u
cd "$(dirname "$0")/../.." || exit 1
# GCC's own warning options are no fault of the code's.
find common nginx-module daemon -name '*.cpp' | sort |
    xargs -P "$(nproc)" -n 4 clang-tidy-14 -p "${1:-build/release}" --quiet --extra-arg=-Wno-unknown-warning-option

#!/usr/bin/env bash
# Every C++ file is as .clang-format has it. To mend: clang-format-14 -i <file>.
set -u
cd "$1" || exit 1
find common nginx-module daemon tests -name '*.cpp' -o -name '*.hpp' | sort | xargs "$2" --dry-run -Werror

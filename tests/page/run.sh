#!/usr/bin/env bash
# Opens the daemon's page in headless Chromium, in each state that it can be in, and leaves a screenshot of each in
# build/page. Fails if the browser complains or the page lacks what it has to show. Some two minutes after the build.
#
#   tests/page/run.sh [GoogleTest's arguments]
set -euo pipefail
cd "$(dirname "$0")/../.."
case ${1:-} in -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
mkdir -p build
. config/packages/install.sh
run_packages=$(package_list run) test_packages=$(package_list test)
install_missing_packages build/packages.log "$run_packages" "$test_packages" tests/page/packages.txt
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build --preset release --target page_states
rm -rf build/page
build/release/tests/page/page_states "$@"
echo "screenshots: build/page"

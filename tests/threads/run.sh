#!/usr/bin/env bash
# Builds the daemon, the module and the tests of its stages with ThreadSanitizer, and runs these tests: some minutes, so
# not in ./test. A data race fails the test in which it was seen; the report is in its output.
#
#   tests/threads/run.sh             all of them
#   tests/threads/run.sh REGEX       those whose names match, as ctest -R
set -euo pipefail
cd "$(dirname "$0")/../.."
tests=(ledger_test notify_integration_test pipeline_test reconcile_test settlement_test)
cmake --preset tsan
cmake --build --preset tsan --target "${tests[@]}"
regex=$(IFS='|'; echo "^(${tests[*]})$")
ctest --preset tsan -R "${1:-$regex}"

#!/usr/bin/env bash
# The fuzzers for long: each for so many minutes, two at a time, and a table at the end. Exits 1 if one found something.
#
#   tests/fuzz/run.sh MINUTES [fuzzer…]        of event, wire, spool_reader, token_file; all, if none is named
#
# Builds them first. docs/fuzzing.md says what to do with a finding, and how new inputs come into the corpus.
set -euo pipefail
cd "$(dirname "$0")/../.."
[[ ${1:-} =~ ^[0-9]+$ ]] || { sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2; }
minutes=$1
shift
[ $# -gt 0 ] || set -- event wire spool_reader token_file
tree=build/asan

cmake --preset asan >/dev/null
cmake --build --preset asan --target event_fuzzer wire_fuzzer spool_reader_fuzzer token_file_fuzzer
mkdir -p "$tree/fuzz"

run() { # one fuzzer; its log is the table's source
    nice -n 19 tests/fuzz/fuzz.sh "$tree" "$1" $((minutes * 60)) >"$tree/fuzz/$1.log" 2>&1 || true
    echo "$1: through"
}
export -f run
export tree minutes
printf '%s\n' "$@" | xargs -P 2 -n 1 bash -c 'run "$0"'

# What libFuzzer says: the last line of progress, and its statistics.
last() { grep -a "$2" "$tree/fuzz/$1.log" | tail -n 1 | grep -aoP "$3" || echo '?'; }
status=0
printf '\n| fuzzer | seconds | executions | a second | coverage (edges) | inputs kept | findings |\n'
printf '| --- | --- | --- | --- | --- | --- | --- |\n'
for fuzzer; do
    findings=0
    grep -qa '^Done ' "$tree/fuzz/$fuzzer.log" || { findings=1 status=1; }
    printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$fuzzer" \
        "$(last "$fuzzer" '^Done ' 'in \K[0-9]+')" \
        "$(last "$fuzzer" '^stat::number_of_executed_units' '[0-9]+$')" \
        "$(last "$fuzzer" '^stat::average_exec_per_sec' '[0-9]+$')" \
        "$(last "$fuzzer" '^#[0-9]' 'cov: \K[0-9]+')" \
        "$(last "$fuzzer" '^#[0-9]' 'corp: \K[0-9]+')" "$findings"
    [ $findings -eq 0 ] || tail -n 1 "$tree/fuzz/$fuzzer.log"
done
exit $status

#!/usr/bin/env bash
# Runs one fuzzer of a build tree for some seconds. What it finds is written into the tree, and how to replay it said.
#
#   tests/fuzz/fuzz.sh <build tree> <fuzzer> <seconds>
#
# It runs every input of the corpus once, then goes on from these and from what earlier runs in this tree have added, in <build tree>/fuzz/<fuzzer>/grown.
# libFuzzer prints its seed; a finding is a file, which replays alone.
set -u
tree=$(realpath -m "$1") fuzzer=$2 seconds=$3
here=$(dirname "$(realpath "$0")")
program=$tree/tests/fuzz/${fuzzer}_fuzzer
if [ ! -x "$program" ]; then
    echo "there is no $program: cmake --preset asan && cmake --build --preset asan --target ${fuzzer}_fuzzer"
    exit 1
fi

if [ -z "$(ls "$here/corpus/$fuzzer")" ]; then
    echo "the corpus of $fuzzer is empty: the findings of the past are in it"
    exit 1
fi
# A time-out is wall-clock time, and a busy machine may not give a niced program any for seconds.
# Long enough for every rule of the formats, short enough for thousands of runs a second.
declare -A input_bytes_max=([event]=8192 [wire]=8192 [spool_reader]=16384 [token_file]=4096)
findings=$tree/fuzz/$fuzzer/findings grown=$tree/fuzz/$fuzzer/grown
mkdir -p "$findings" "$grown"
options=(-max_total_time="$seconds" -max_len="${input_bytes_max[$fuzzer]}" -timeout=30 -rss_limit_mb=1024
    -artifact_prefix="$findings/" -print_final_stats=1)
if [ -e "$here/dictionaries/$fuzzer.dict" ]; then
    options+=(-dict="$here/dictionaries/$fuzzer.dict")
fi
"$program" "${options[@]}" "$grown" "$here/corpus/$fuzzer" 2>&1
status=$?
if [ $status -ne 0 ]; then
    echo "$fuzzer found something: its input is the newest file in $findings. To replay it: $program FILE"
fi
exit $status

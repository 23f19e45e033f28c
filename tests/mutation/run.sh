#!/usr/bin/env bash
# Changes the merge of run states, and what apply takes for a commit, in one place at a time, in a copy of the sources,
# and shows that a test fails for each change: tests/mutation/run.sh [REGEX] tries those whose name matches, all
# without. Takes a quarter of an hour or more; the copy and its build are in a temporary folder, which goes at the end.
# Exit code 0: each was caught.
#
# A mutation is a name, a file, a substitution for perl, and the test program if it is not the file's usual one; one that
# changes nothing is an error, so that the list keeps up with the code.
set -euo pipefail
cd "$(dirname "$0")/../.."
only=${1:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cpp=daemon/ingest/run_state.cpp
runs=sql/queries/apply/upsert_runs.sql
outputs=sql/queries/apply/upsert_outputs.sql
words=sql/queries/apply/upsert_other_statuses.sql
moments=sql/functions/run_moments.sql
mutations=(
    "a status' latest moment|$cpp|s/\*other < \*into\)/*other > *into)/"
    "the last of a boot|$cpp|s/stamp_of\(moment\)\.is_before_in_boot\(stamp_of\(place->second\)\)/stamp_of(place->second).is_before_in_boot(stamp_of(moment))/"
    "the latest of the boots|$cpp|s/stamp_of\(a\.second\) < stamp_of\(b\.second\)/stamp_of(b.second) < stamp_of(a.second)/"
    "boots mixed: wall time before boottime|$cpp|s/std::tie\(s\.boottime, s\.received_at, /std::tie(s.received_at, s.boottime, /"
    "the earliest progress|$cpp|s/other\.latest\.stamp > into\.latest\.stamp/other.latest.stamp < into.latest.stamp/"
    "progress by its time alone|$cpp|s/other\.latest\.stamp > into\.latest\.stamp/other.latest.stamp.received_at > into.latest.stamp.received_at/"
    "the last first event|$cpp|s/std::min\(into\.first_received_at/std::max(into.first_received_at/"
    "an unknown word's latest moment|$cpp|s/std::min\(place->second, at\)/std::max(place->second, at)/"
    "a count that forgets|$cpp|s/into\.event_count \+= other\.event_count/into.event_count = other.event_count/"
    "the oldest version of an output|$cpp|s/order\(\*this\) > order\(other\)/order(*this) < order(other)/"
    "an output without its updated_at|$cpp|s/std::tie\(v\.updated_at, /std::tie(/"
    "an output without its bytes' digest|$cpp|s/v\.stamp\.boottime,\s+v\.stamp\.digest, /v.stamp.boottime, /"
    "an output without its signatures|$cpp|s/v\.updated_at, v\.signed_links, /v.updated_at, /"
    "an output without its position|$cpp|s/v\.stamp\.digest, v\.position\)/v.stamp.digest)/"
    "an output's last version|$cpp|s/version\.is_newer_than\(place->second\)/true/"
    "an output with its redelivery|$cpp|s/version\.stamp\.redelivered = false;/;/"
    "outputs erased by an empty list|$cpp|s/(    for \(const auto& \[key, version\] : other\.outputs\))/    if (other.outputs.empty()) { into.outputs.clear(); }\n\$1/"
    "outputs without an id are one|$cpp|s/fmt::format\(\"#\{:016x\}\", std::bit_cast<std::uint64_t>\(digest\)\)/std::string(\"#\") + (digest == 0 ? \"0\" : \"\")/"
    "years that PostgreSQL has not|daemon/base/iso_time.cpp|s/time < std::chrono::sys_days\{std::chrono::year\{1\} \/ 1 \/ 1\}/false/|daemon_test"
    "SQL: LEAST to GREATEST, not-started|$runs|s/not_started_at = least/not_started_at = greatest/"
    "SQL: LEAST to GREATEST, queued|$runs|s/queued_at = least/queued_at = greatest/"
    "SQL: LEAST to GREATEST, started|$runs|s/(?<!not_)started_at = least/started_at = greatest/"
    "SQL: LEAST to GREATEST, uploading|$runs|s/uploading_at = least/uploading_at = greatest/"
    "SQL: LEAST to GREATEST, first received|$runs|s/first_received_at = least/first_received_at = greatest/"
    "SQL: LEAST to GREATEST, unknown words|$words|s/= least/= greatest/"
    "SQL: the last of a boot|$moments|s/< \(kept\[1\]\.boottime_us/> (kept[1].boottime_us/"
    "SQL: boots mixed: wall time before boottime|$moments|s/m\.boot_id, m\.boottime_us, m\.received_at/m.boot_id, m.received_at, m.boottime_us/"
    "SQL: the latest of the boots|$moments|s/ORDER BY \(first_of_boot\)\.received_at, /ORDER BY (first_of_boot).received_at DESC, /"
    "SQL: a boot is every boot|$moments|s/ AND kept\[1\]\.boot_id = came\.boot_id//"
    "SQL: the ending without its digest|$moments|s/, came\.digest\)/)/; s/, kept\[1\]\.digest\)/)/"
    "SQL: the earliest progress|$runs|s/> \(r\.latest_at/< (r.latest_at/"
    "SQL: progress without its digest|$runs|s/EXCLUDED\.latest_redelivered, EXCLUDED\.latest_digest\)/EXCLUDED.latest_redelivered)/; s/r\.latest_redelivered, r\.latest_digest\)/r.latest_redelivered)/"
    "SQL: a count that forgets|$runs|s/event_count = r\.event_count \+ CASE/event_count = CASE/"
    "SQL: events counted for each boot|$runs|s/WHEN .29 THEN/WHEN true THEN/"
    "SQL: the oldest version of an output|$outputs|s/> \(o\.updated_at/< (o.updated_at/"
    "SQL: an output's last version|$outputs|s/WHERE \(EXCLUDED\.updated_at/WHERE true OR (EXCLUDED.updated_at/"
    "SQL: runs in any order|$runs|s/ORDER BY run_id COLLATE \"C\"\s+ON CONFLICT/ORDER BY random() ON CONFLICT/|ledger_test"
    "SQL: batches in any order|sql/queries/apply/insert_batches.sql|s/ORDER BY segment_id, batch_number/ORDER BY random()/|ledger_test"
    "SQL: a retired segment without its lock|sql/queries/apply/lock_segments.sql|s/FOR SHARE//|ledger_test"
    "apply: one by one in the events' order|daemon/ingest/write_turn.cpp|s/return a\.received\.event\.run_id < b\.received\.event\.run_id/return false/|ledger_test"
    "apply: quarantined events uncounted|daemon/ingest/write_turn.cpp|s/    count_quarantined\(work, quarantined\);//|ledger_test"
    "apply: a warning at COMMIT is a commit|daemon/database/database.cpp|s/if \(!notices_->last\(\)\.empty\(\)\)/if (false)/|ledger_test"
    "apply: connections are opened anew|daemon/database/database.cpp|s/inhibit_reactivation\(true\)/inhibit_reactivation(false)/|ledger_test"
    "apply: replication is not waited for|daemon/database/transaction.cpp|s/synchronous_commit = on/synchronous_commit = local/|ledger_test"
    "apply: the default isolation|daemon/database/transaction.cpp|s/SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE; //|ledger_test"
    "SQL: an output without its signatures|$outputs|s/EXCLUDED\.updated_at, EXCLUDED\.signed_links, EXCL/EXCLUDED.updated_at, EXCL/; s/o\.updated_at, o\.signed_links, /o.updated_at, /"
    "SQL: an output without digest and position|$outputs|s/boottime_us,\s+EXCLUDED\.digest,\s+EXCLUDED\.position\)/boottime_us)/; s/o\.boottime_us, o\.digest, o\.position\)/o.boottime_us)/"
)

echo "copying and building; each test program is tried unchanged first"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$folder"
build=$folder/build/mutants
cmake -S "$folder" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DRUNLEDGER_EDGE=OFF >"$folder/configure.log" ||
    { cat "$folder/configure.log"; exit 1; }

# The merge in memory is held by its laws, the merge in SQL by its likeness to that.
test_of() { case $1 in *.cpp) echo run_state_property_test ;; *) echo run_state_sql_test ;; esac; }
build_test() { cmake --build "$build" --target "$1" >"$folder/build.log" 2>&1; }
run_test() {
    local program
    program=$(find "$build/tests" -name "$1" -type f)
    local only_tests=*
    [ "$1" != ledger_test ] || only_tests='Contention.*:Unreplicated.*:Connection.*:Audit.*:Ledger.*Retire*'
    "$program" --gtest_filter="$only_tests" >"$folder/test.log" 2>&1
}

declare -A passes_unchanged
check_unchanged() {
    [ -z "${passes_unchanged[$1]:-}" ] || return 0
    build_test "$1" || { tail -50 "$folder/build.log"; exit 1; }
    run_test "$1" || { tail -50 "$folder/test.log"; echo "$1 fails unchanged"; exit 1; }
    passes_unchanged[$1]=yes
}

tried=0
missed=0
for mutation in "${mutations[@]}"; do
    IFS='|' read -r name file substitution test <<<"$mutation"
    [[ $name =~ $only ]] || continue
    test=${test:-$(test_of "$file")}
    check_unchanged "$test"
    tried=$((tried + 1))
    perl -0pi -e "$substitution" "$folder/$file"
    if cmp -s "$file" "$folder/$file"; then
        printf '%-45s the substitution finds nothing in %s\n' "$name" "$file"
        exit 1
    fi
    if ! build_test "$test"; then
        printf '%-45s does not compile\n' "$name"
        tail -20 "$folder/build.log"
        exit 1
    fi
    if run_test "$test"; then
        printf '%-45s NOT CAUGHT\n' "$name"
        missed=$((missed + 1))
    else
        printf '%-45s caught by %s\n' "$name" \
            "$(grep -oE '^\[  FAILED  \] [A-Za-z]+\.[A-Za-z0-9]+' "$folder/test.log" | awk '{print $4}' | sort -u | paste -sd' ')"
    fi
    cp "$file" "$folder/$file"
done
echo "$tried mutations, $((tried - missed)) caught, $missed missed"
[ "$missed" -eq 0 ]

#include "daemon/reconcile/lookups.hpp"

#include <fmt/format.h>

#include "daemon/database/schema.hpp"
#include "daemon/ingest/write_turn.hpp"
#include "queries/apply.hpp"
#include "queries/reconcile.hpp"

namespace runledger {
namespace {

// The calls in flight are not moved on while a statement runs, so none may take long beside a call's time-out.
constexpr TransactionBounds lookup_bounds{.statement_timeout = std::chrono::seconds{5},
                                          .lock_timeout = std::chrono::seconds{2}};
// A look reads this many rows of each kind at most, however many never end or were given up.
constexpr int due_a_look_max = 512;
constexpr int walked_a_look_max = 256;

// libpqxx 6 takes a null pointer for NULL.
const char* null_if_empty(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }
const char* null_if_none(const std::optional<std::string>& text) { return text ? text->c_str() : nullptr; }

std::optional<std::string> time_text(const std::optional<WallTime>& time) {
    return time ? std::optional(timestamp_text(*time)) : std::nullopt;
}

}  // namespace

Lookups::Lookups(Options options)
    : options_(std::move(options)), database_(options_.uri, "reconcile"), bounds_(lookup_bounds) {}

void Lookups::change(Options options) {
    options.uri = std::move(options_.uri);
    options.lease_owner = std::move(options_.lease_owner);
    options_ = std::move(options);
}

void Lookups::hurry(std::chrono::milliseconds statement_timeout) noexcept {
    bounds_ = {.statement_timeout = statement_timeout, .lock_timeout = statement_timeout};
}

bool Lookups::move_on(Place& place, const pqxx::result& last, int rows_max) {
    if (!last.empty()) {
        place.at = last[0][0].as<std::string>();
        place.id = last[0][1].as<std::string>();
    }
    return !last.empty() && last[0]["rows_read"].as<int>() == rows_max;
}

void Lookups::enrol(const Statements& work) {
    const ReconcileSettings::Silence& silence = options_.silence;
    const std::array<std::pair<std::string_view, std::chrono::milliseconds>, 6> limits{
        {{"queued", silence.queued},
         {"started", silence.started},
         {"running", silence.running},
         {"uploading", silence.uploading},
         {"not-started", silence.other},
         {"unknown", silence.other}}};
    ArrayLiteral statuses;
    ArrayLiteral milliseconds;
    for (const auto& [status, limit] : limits) {
        statuses.add(status);
        milliseconds.add(static_cast<std::int64_t>(limit.count()));
    }
    work.run(queries::reconcile::enrol_silent, statuses.str(), milliseconds.str(), options_.lookback.count(),
             due_a_look_max);
    const auto unheard = [&](Place& place, int rows_max) {
        return move_on(place,
                       work.run(queries::reconcile::enrol_unheard, std::chrono::milliseconds{silence.unheard}.count(),
                                options_.lookback.count(), place.at, place.id, rows_max),
                       rows_max);
    };
    (void)unheard(generations_newest_, due_a_look_max);  // At the end it waits for what becomes due.
    if (!unheard(generations_walk_, walked_a_look_max)) {
        generations_walk_ = {.id = "0"};
    }
}

std::vector<LeasedLookup> Lookups::lease(std::size_t count_max) {
    Transaction work(database_, bounds_);
    if (!move_on(lookups_walk_,
                 work.run(queries::reconcile::forget_heard, lookups_walk_.at, lookups_walk_.id, walked_a_look_max),
                 walked_a_look_max)) {
        lookups_walk_ = {};
    }
    enrol(work);
    std::vector<LeasedLookup> leased;
    for (const auto& row :
         work.run(queries::reconcile::lease, options_.lease_owner, options_.lease.count(), count_max)) {
        leased.push_back({.run_id = row[0].as<std::string>(),
                          .attempts = row[1].as<unsigned>(),
                          .age = std::chrono::milliseconds{row[2].as<std::int64_t>()}});
    }
    database_.commit(work);
    return leased;
}

void Lookups::postpone(const Postponed& postponed) {
    Transaction work(database_, bounds_);
    const std::optional<std::string> delay =
        postponed.delay ? std::optional(std::to_string(postponed.delay->count())) : std::nullopt;
    work.run(queries::reconcile::later, postponed.run_id, options_.lease_owner, null_if_none(delay),
             postponed.gives_attempt_back ? 1 : 0, null_if_empty(postponed.provider_status),
             null_if_empty(postponed.error));
    database_.commit(work);
}

void write_report_outputs(const Statements& work, const std::string& run_id, const ProviderReport& report,
                          std::string_view schema) {
    ArrayLiteral keys;
    ArrayLiteral updated;
    ArrayLiteral signed_links;
    ArrayLiteral digests;
    ArrayLiteral positions;
    ArrayLiteral outputs;
    for (const ReportedOutput& output : report.outputs) {
        keys.add(output.key);
        updated.add(time_text(output.updated_at).value_or("-infinity"));
        signed_links.add(static_cast<std::int64_t>(output.signed_links));
        digests.add(output.digest);
        positions.add(static_cast<std::int64_t>(output.position));
        outputs.add(output.json);
    }
    work.run(text_in(schema, queries::reconcile::upsert_outputs), run_id, report.digest, keys.str(), updated.str(),
             digests.str(), positions.str(), outputs.str(), signed_links.str());
}

ReportFate Lookups::store(const Reported& reported) {
    const ProviderReport& report = reported.report;
    ArrayLiteral runs;
    runs.add(reported.run_id);
    const std::optional<std::string> progress =
        report.progress ? std::optional(fmt::format("{}", *report.progress)) : std::nullopt;

    Transaction work(database_, bounds_);
    if (!work.run(queries::apply::find_late_events, runs.str()).empty()) {
        work.run(queries::reconcile::done, reported.run_id);
        database_.commit(work);
        return ReportFate::too_late;
    }
    const bool is_new =
        !work.run(queries::reconcile::insert_report, reported.run_id, report.digest, report.status_word,
                  null_if_none(time_text(report.queued_at)), null_if_none(time_text(report.started_at)),
                  null_if_none(time_text(report.ended_at)), null_if_empty(report.run_duration), null_if_none(progress),
                  null_if_empty(report.live_status), null_if_empty(report.error), report.outputs.size(), report.body)
             .empty();
    if (is_new) {
        work.run(queries::reconcile::upsert_runs, runs.str());
        write_report_outputs(work, reported.run_id, report);
    }
    work.run(queries::reconcile::done, reported.run_id);
    database_.commit(work);
    return is_new ? ReportFate::stored : ReportFate::known;
}

}  // namespace runledger

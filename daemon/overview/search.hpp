// Finds runs by their id, their chat or the key of their generation, and tells what happened to one, step by step.
//
// By the rights of runledger_reader, like reader.hpp. Owned by one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/database/database.hpp"

namespace runledger {

// A generation that was found.
struct FoundRun {
    std::string generation_id;
    std::string name;    // As generation_name() has it.
    std::string run_id;  // Empty: it names none.
    std::string status;
    std::string cost_usd;     // Empty: not known.
    std::string duration_ms;  // Likewise.
    std::string chat_id;      // Likewise.
    std::string requested_at;
};

struct TimelineStep {
    std::string day;
    std::string time;  // UTC, with milliseconds.
    std::string step;  // As in run_timeline_v1.
    std::string status;
    std::string edge;
    std::string detail;
    std::optional<double> after_seconds{};  // Since the step before.
};

struct RunStory {
    std::string run_id{};
    std::string status{};  // Of its events; empty: none is known.
    bool has_ended{false};
    std::int64_t event_count{0};
    std::string latest{};  // What was last heard of it, if it has not ended.
    // How its cost came about, a sentence each, as `runledger explain` has them.
    std::vector<std::string> cost_lines{};
    std::string cost_usd{};     // Empty: not known, or not charged.
    std::string duration_ms{};  // Likewise.
    std::string generation{};   // The name of the one that names it; empty: none does.
    std::vector<TimelineStep> steps{};
    bool is_cut{false};           // There are more steps.
    std::int64_t events_gone{0};  // Their rows are no longer in webhook_events.
};

struct SearchResult {
    std::vector<FoundRun> found{};    // Several: the caller lists them.
    std::optional<RunStory> story{};  // Of the one that was found.
};

class RunSearch {
public:
    explicit RunSearch(const std::string& uri) : database_(uri, "page search") {}

    // `words`: a run's id, a generation's key, by the application's own or the ledger's number, or a chat's id. Throws
    // what pqxx throws; the next call connects again.
    [[nodiscard]] SearchResult find(const std::string& words);

private:
    Database database_;
};

// What a search may hold: what a run's id may hold, which is valid UTF-8 of 1 to 256 bytes without U+0000. An id with
// other control characters is the sender's, and the page leads to it.
[[nodiscard]] bool is_searchable(std::string_view words);

}  // namespace runledger

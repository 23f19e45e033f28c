// The provider's answer about a run (GET {api_url}/run/{run_id}), decoded. Pure.
//
// The decoder of webhooks (common/event.hpp) reads it, so that it is as tolerant and gives outputs the same keys. The
// answer also has times. They are by the provider's clock, and are stored separately from receive times.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "common/status.hpp"

namespace runledger {

struct ReportedOutput {
    std::string key;
    std::optional<WallTime> updated_at;
    std::int32_t signed_links{};
    std::int64_t digest{};  // XXH3-64 of its bytes.
    std::int32_t position{};
    std::string json;
};

// An absent or unreadable time is nothing. Texts can be stored, and are empty if absent.
struct ProviderReport {
    std::string status_word;
    std::optional<RunStatus> status;  // Nothing for a word that is not known: that never ends a run.
    std::optional<WallTime> queued_at;
    std::optional<WallTime> started_at;
    std::optional<WallTime> ended_at;
    std::string run_duration;  // Seconds, as written in the answer; empty if it is not a number of plain digits.
    std::optional<double> progress;
    std::string live_status;
    std::string error;
    std::vector<ReportedOutput> outputs;
    std::string body;
    std::int64_t digest{};

    [[nodiscard]] bool is_ending() const noexcept { return status && is_terminal(*status); }
};

// The answer can't be read as one about that run. The sentence quotes only short words of the answer.
struct ReportFault {
    std::string sentence;
};

[[nodiscard]] std::variant<ProviderReport, ReportFault> decode_report(std::string_view run_id, std::string body);

}  // namespace runledger

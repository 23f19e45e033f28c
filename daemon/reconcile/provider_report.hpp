// What the provider says of a run when it is asked: GET {api_url}/run/{run_id}, decoded. Pure.
//
// Read by the one decoder of webhooks (common/event.hpp), so that it is as tolerant and its outputs are keyed alike;
// the times come on top. They are the provider's clock and are kept apart from everything that was received.
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
    std::int64_t digest{};  // XXH3-64 of its bytes.
    std::int32_t position{};
    std::string json;
};

// A time that is absent or unreadable is nothing; texts are storable, and empty where absent.
struct ProviderReport {
    std::string status_word;
    std::optional<RunStatus> status;  // Nothing for a word that is not known: that never ends a run.
    std::optional<WallTime> queued_at;
    std::optional<WallTime> started_at;
    std::optional<WallTime> ended_at;
    std::string run_duration;  // Seconds, as the answer writes the number; empty where it is none of plain digits.
    std::optional<double> progress;
    std::string live_status;
    std::string error;
    std::vector<ReportedOutput> outputs;
    std::string body;
    std::int64_t digest{};

    [[nodiscard]] bool is_ending() const noexcept { return status && is_terminal(*status); }
};

// The answer can't be read as one about that run. The sentence holds nothing of the answer but short words.
struct ReportFault {
    std::string sentence;
};

[[nodiscard]] std::variant<ProviderReport, ReportFault> decode_report(std::string_view run_id, std::string body);

}  // namespace runledger

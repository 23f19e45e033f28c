// The sender's words for a run's status, and what each means for the ledger.
//
// Source: the sender's own enumeration (comfy-deploy/api, `models.py`); the words are case-sensitive.
// An unknown word is not a fault: it is stored with its time and never ends a run.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace runledger {

// In the order of a run's life; the enumerators' order is used to say which of two is further.
enum class RunStatus : std::uint8_t {
    not_started,
    queued,
    started,
    running,
    uploading,
    success,
    failed,
    timeout,
    cancelled,
};

inline constexpr std::array<std::string_view, 9> run_status_words{
    "not-started", "queued", "started", "running", "uploading", "success", "failed", "timeout", "cancelled"};

// Nothing for an unknown word.
[[nodiscard]] constexpr std::optional<RunStatus> find_run_status(std::string_view word) noexcept {
    for (std::size_t i = 0; i < run_status_words.size(); ++i) {
        if (run_status_words[i] == word) {
            return static_cast<RunStatus>(i);
        }
    }
    return std::nullopt;
}

[[nodiscard]] constexpr std::string_view to_word(RunStatus status) noexcept {
    return run_status_words[static_cast<std::size_t>(status)];
}

// A terminal status ends the run. The sender may repeat it, but no other status follows.
[[nodiscard]] constexpr bool is_terminal(RunStatus status) noexcept { return status >= RunStatus::success; }

}  // namespace runledger

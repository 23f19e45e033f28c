// What the status words of an application mean, as it says when its table is adopted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runledger {

struct StatusWord {
    std::string word;
    std::string_view status;  // One of the ledger's five.
    bool is_written{false};   // What the application's column gets when the ledger gives a row this status.
    bool is_kept{false};      // The ledger never replaces it.
};

inline constexpr std::string_view ledger_statuses[]{"pending", "processing", "completed", "failed", "cancelled"};

}  // namespace runledger

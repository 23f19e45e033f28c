// The file of `runledger migrate --adopt --status-words`: what the status words of an application mean.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "daemon/database/status_words.hpp"

namespace runledger::tool {

// TOML: a list of words for each status of the ledger's, of which the first is written, and `kept`, a list of those
// that are never replaced. Throws Misused, with the file's name and what is wrong in it.
[[nodiscard]] std::vector<StatusWord> load_status_words(const std::filesystem::path& file);

}  // namespace runledger::tool

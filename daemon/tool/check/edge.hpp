// The edge on this machine, as nginx's configuration names it. Its files are only searched for two directives; whether
// they are right is for `nginx -t` to say.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "daemon/tool/check/account.hpp"

namespace runledger::tool {

struct LocalEdge {
    std::filesystem::path spool;
    std::uint64_t spool_bytes_max{1024UL * 1024 * 1024};  // max_size=, with its default.
    std::optional<Account> workers{};                     // nginx's user; nothing: not known.
};

struct EdgeSearch {
    std::optional<LocalEdge> edge;
    std::string unreadable;  // A file or folder that may not be read; empty: none.
};

// In all .conf files below the folder, and in what sites-enabled holds.
[[nodiscard]] EdgeSearch find_edge(const std::filesystem::path& folder);

}  // namespace runledger::tool

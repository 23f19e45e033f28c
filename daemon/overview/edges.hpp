// What the edges say of themselves: their status pages, asked all at once.
//
// An edge that does not answer costs no longer than the bound, and says so in its row. One thread at a time.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/overview/health.hpp"
#include "daemon/overview/numbers.hpp"

namespace runledger {

// Of an edge's spool, without what keep_acked keeps; more is worth a word. As RunledgerSpoolFilling.
inline constexpr double spool_share_max = 0.7;
// An event that has waited for longer is late. As RunledgerBacklogOld.
inline constexpr std::chrono::seconds backlog_wait_max{300};
// The same while a worker has no link: a reload and a daemon's restart take less. As RunledgerLinkDown.
inline constexpr std::chrono::seconds link_wait_max{120};

// `urls`: of `runledger_status` locations, with or without a query. In their order.
[[nodiscard]] std::vector<EdgeNumbers> read_edges(const std::vector<std::string>& urls,
                                                  std::chrono::milliseconds timeout);

// Of the answer's JSON; `error` says what is wrong with it.
[[nodiscard]] EdgeNumbers edge_of(std::string name, std::string_view json);

// Without what keep_acked keeps, which is given up when the room is needed.
[[nodiscard]] std::int64_t spool_bytes_used(const EdgeNumbers& edge);
// Of 0 to 1; 0 if the bound is not known.
[[nodiscard]] double spool_share(const EdgeNumbers& edge);

// A component for each kind of trouble, the worst first, with all the edges that have it; a single one if all is well.
[[nodiscard]] std::vector<Component> edge_components(const std::vector<EdgeNumbers>& edges);

// "edge-1:9145" of "http://user:word@edge-1:9145/runledger_status?a".
[[nodiscard]] std::string host_of(std::string_view url);

}  // namespace runledger

// What the edges say of themselves: their status pages, asked all at once.
//
// An edge that does not answer costs no longer than the bound, and says so in its row. One thread at a time.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/overview/numbers.hpp"

namespace runledger {

// `urls`: of `runledger_status` locations, with or without a query. In their order.
[[nodiscard]] std::vector<EdgeNumbers> read_edges(const std::vector<std::string>& urls,
                                                  std::chrono::milliseconds timeout);

// Of the answer's JSON; `error` says what is wrong with it.
[[nodiscard]] EdgeNumbers edge_of(std::string name, std::string_view json);

// "edge-1:9145" of "http://user:word@edge-1:9145/runledger_status?a".
[[nodiscard]] std::string host_of(std::string_view url);

}  // namespace runledger

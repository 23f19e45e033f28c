// Refusals: what is wrong, with the code that nginx answers and the problem document (RFC 9457) that says why.
//
// Every word in a document is ours: nothing that a client sent is repeated, so nothing needs escaping.
#pragma once

#include <string>
#include <string_view>

#include "common/event.hpp"
#include "nginx-module/status/request_outcome.hpp"

namespace runledger::edge {

struct Problem {
    RequestOutcome outcome{};
    unsigned http_status{};
    std::string_view word;  // The stable end of `type`.
    std::string_view title;
    std::string detail;
};

// The sender's body holds no event that can be kept: 400.
[[nodiscard]] Problem problem_of(const Refusal& refusal);

// Any other refusal. Precondition: `outcome` is one that refuses, and not refused_json.
[[nodiscard]] Problem problem_of(RequestOutcome outcome);

// {"type":…,"title":…,"status":…,"detail":…} and a line's end.
[[nodiscard]] std::string to_document(const Problem& problem);

}  // namespace runledger::edge

// Answers to a webhook: 200, or a problem document (RFC 9457) that says what is wrong, or nginx's error_page where the
// operator has one.
//
// Every word in a document is ours: nothing that a client sent is repeated, so nothing needs escaping. Event-loop
// thread only.
#pragma once

#include <string>
#include <string_view>

#include "common/event.hpp"
#include "nginx-module/nginx/ngx.hpp"
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
// The body has a Content-Encoding.
[[nodiscard]] Problem problem_of_encoding();

// Each returns what ngx_http_finalize_request() is to be called with.
[[nodiscard]] ngx_int_t send_accepted(ngx_http_request_t& request) noexcept;
[[nodiscard]] ngx_int_t send_problem(ngx_http_request_t& request, const Problem& problem);

}  // namespace runledger::edge

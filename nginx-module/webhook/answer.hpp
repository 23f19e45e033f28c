// Answers to a webhook: 200, or a problem document, or nginx's error_page where the operator has one.
//
// Each returns what ngx_http_finalize_request() is to be called with. Event-loop thread only.
#pragma once

#include "nginx-module/nginx/ngx.hpp"
#include "nginx-module/webhook/problem.hpp"

namespace runledger::edge {

[[nodiscard]] ngx_int_t send_accepted(ngx_http_request_t& request) noexcept;

[[nodiscard]] ngx_int_t send_problem(ngx_http_request_t& request, const Problem& problem);

}  // namespace runledger::edge

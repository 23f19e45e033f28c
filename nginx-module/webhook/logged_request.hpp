// What is known of a request when nginx logs it: the variables for log_format, and the count of outcomes.
//
// Event-loop thread only.
#pragma once

#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

// $runledger_run_id, $runledger_run_status, $runledger_outcome, $runledger_commit_time; each is absent, and logged as
// "-", where it has nothing to say. Throws std::bad_alloc.
void add_variables(ngx_conf_t& cf);

// A handler of the phase in which limit_req and limit_conn refuse, to run before them, as before deny and auth_request:
// remembers which requests came to a webhook location. Refuses nothing.
ngx_int_t note_visit(ngx_http_request_t* request) noexcept;

// The log phase's handler: counts each request to a webhook location once, when it has ended.
ngx_int_t count_outcome(ngx_http_request_t* request) noexcept;

}  // namespace runledger::edge

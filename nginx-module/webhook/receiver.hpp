// The receiver: the content handler of a webhook location, from the request's header to its answer.
//
// It authenticates, reads the body, validates what is small, stamps, hands the event to the courier and suspends the
// request until the courier has posted the event back. Event-loop thread only; never waits.
#pragma once

#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

// The content handler of runledger_webhook.
ngx_int_t on_webhook(ngx_http_request_t* request) noexcept;

}  // namespace runledger::edge

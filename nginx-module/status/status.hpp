// The location that serves the edge's metrics: runledger_status.
#pragma once

#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

// The content handler: Prometheus text, or JSON with ?format=json. Event-loop thread only.
ngx_int_t on_status(ngx_http_request_t* request) noexcept;

}  // namespace runledger::edge

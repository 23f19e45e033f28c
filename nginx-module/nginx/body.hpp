// A request's body, out of nginx's buffers into a held event's own keeping.
//
// Event-loop thread only. Reads no file: a body in nginx's temporary file travels as a descriptor.
#pragma once

#include <cstddef>
#include <optional>

#include "nginx-module/courier/courier.hpp"
#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

// Of a request whose body has been read by nginx.
[[nodiscard]] std::size_t body_size(const ngx_http_request_t& request) noexcept;

// Copies the body into `event`, or duplicates the descriptor of the file that nginx has put it in, and sets
// `body_bytes`. Throws std::system_error when no descriptor can be had, std::logic_error for a body that lies in a
// file in another way than nginx writes it, whole and from the file's start.
void take_body(const ngx_http_request_t& request, HeldEvent& event);

}  // namespace runledger::edge

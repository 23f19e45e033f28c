// Leaves what is refused for its token or its JSON to the worker's keeper, where runledger_refused says so.
//
// It changes no answer, and waits for nothing but a body that the client is sending anyway. No secret goes along: of a
// wrong token only a digest, and of the headers only two. Event-loop thread only.
#pragma once

#include <optional>
#include <string_view>

#include "common/clock.hpp"
#include "common/event.hpp"
#include "nginx-module/courier/held_event.hpp"
#include "nginx-module/nginx/ngx.hpp"
#include "nginx-module/refused/keeper.hpp"

namespace runledger::edge {

// For a request whose token is refused, and that is fit in every other way: whether its body is to be read and kept.
// Only a body whose length is told, and which nginx reads into memory: the rest is left to client_body_buffer_size.
// Nothing, and counted, if not; or if there is no keeper.
[[nodiscard]] std::optional<RefusedTicket> admit_refused(const ngx_http_request_t& request, bool is_fit);

// With the body read. A failure costs this body its second try, and is in the log.
void keep_refused_token(const ngx_http_request_t& request, const Stamp& stamp, RefusedTicket ticket) noexcept;

// Takes the event's body.
void keep_refused_json(const ngx_http_request_t& request, HeldEvent& event, std::string_view token_name,
                       const Refusal& refusal) noexcept;

}  // namespace runledger::edge

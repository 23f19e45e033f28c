// Overwrites a request's token wherever the request holds it, so that neither the access log nor what nginx itself
// says about the request shows it.
//
// Invariant: only memory of the request's own is written to, its header's buffers and its pools. A string of nginx's
// may also lie in the configuration (the target of an error_page) or in nginx's program (HTTP/2's table of common
// headers); those are no secrets of a client's, and are left alone. Event-loop thread only.
#pragma once

#include <string_view>

#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

// What the rule's variable said; empty where it said nothing. Its bytes are overwritten as well.
struct PresentedToken {
    ngx_str_t value{};
    bool is_known{false};  // It is one of the rule's tokens.
};

// What is overwritten:
// - an argument, a header or a cookie that the rule's variable names: every value of that name, known or not, also in
//   the Referer's arguments;
// - what any other variable says, known or not: where it is a part of the path, that part; else where it is a whole
//   word of the request's URI;
// - a known token of at least token_bytes_weak characters: wherever else the URI or a header has it. A shorter one
//   could be a word of its own there.
void mask_token(ngx_http_request_t& request, const TokenRule& rule, const PresentedToken& presented);

}  // namespace runledger::edge

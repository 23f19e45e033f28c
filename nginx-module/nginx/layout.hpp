// What must hold if nginx's structures lie in memory as the headers say that the module was built with.
//
// Pure: reads only what it is given, a request or a connection of any origin, and calls nothing of nginx's, so that a
// test can feed it structures that were shifted. canary.cpp asks nginx for its side of each fact.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

// One fact, as the module sees it and as nginx does. They are equal, or the structure is another one.
struct LayoutFact {
    enum class Kind : std::uint8_t { offset, value };

    Kind kind{};
    std::string_view structure;
    std::string_view member;
    std::uint64_t ours{};
    std::uint64_t nginxs{};
};

using LayoutFacts = std::vector<LayoutFact>;

// A sentence about the first fact that does not hold; nothing where all do.
[[nodiscard]] std::optional<std::string> find_difference(std::span<const LayoutFact> facts);

// What nginx's functions say about a request. Nothing: nginx has no answer for this request.
struct NginxsAnswers {
    std::optional<std::uint64_t> connection_number;  // $connection
    std::optional<std::uint64_t> request_length;     // $request_length
    const void* variable{nullptr};                   // Where nginx keeps the value of variable_index.
    ngx_uint_t variable_index{};
    bool counts_requests{false};  // For stub_status: each request is being read or written.
};

// The structures that a request leads to. Copies, since what the request's pointers lead to may not be there.
struct RequestCopies {
    ngx_http_request_t request{};
    ngx_http_request_t main{};  // The same where the request is no subrequest.
    ngx_connection_t connection{};
    ngx_http_connection_t http_connection{};            // A main request's.
    ngx_http_conf_ctx_t conf_ctx{};                     // The HTTP connection's.
    const ngx_http_request_t* stream_request{nullptr};  // HTTP/2: whose stream it is.
};

// Where nginx is with the request. Before the rewrite phase of a location, nobody has touched its body.
enum class RequestMoment : std::uint8_t { body_untouched, any };

// The facts of a request that lies, or lay, at `address`.
[[nodiscard]] LayoutFacts request_facts(const RequestCopies& copies, const ngx_http_request_t* address,
                                        const NginxsAnswers& answers, RequestMoment moment);

// The request has a length, so that at the moment body_untouched it shows more than others.
[[nodiscard]] bool shows_body_bits(const ngx_http_request_t& request) noexcept;

// Of the arrays that nginx makes when a worker starts: the second connection's event is the second event.
[[nodiscard]] LayoutFacts event_facts(const ngx_connection_t& second_connection, const ngx_event_t* read_events,
                                      const ngx_event_t* write_events);

}  // namespace runledger::edge

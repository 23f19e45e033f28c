#include "nginx-module/nginx/layout.hpp"

namespace runledger::edge {

namespace {

[[nodiscard]] std::uint64_t address_of(const void* pointer) noexcept {
    return reinterpret_cast<std::uintptr_t>(pointer);
}

[[nodiscard]] LayoutFact value(std::string_view structure, std::string_view member, std::uint64_t ours,
                               std::uint64_t nginxs) {
    return {LayoutFact::Kind::value, structure, member, ours, nginxs};
}

// Of a request that no other request has made.
void add_facts_of_main(LayoutFacts& facts, const RequestCopies& copies, const NginxsAnswers& answers) {
    const ngx_http_request_t& request = copies.request;
    facts.push_back(value("ngx_http_request_t", "parent", address_of(request.parent), 0));
    facts.push_back(value("ngx_http_request_t", "http_connection", address_of(request.main_conf),
                          address_of(copies.conf_ctx.main_conf)));
    if (answers.counts_requests) {
        facts.push_back(value("ngx_http_request_t", "stat_writing", request.stat_reading + request.stat_writing, 1));
    }
    // HTTP/0.9 to 1.x, whose request line has been understood. The last member of the structure.
    if (request.unparsed_uri.len > 0 && request.http_version < NGX_HTTP_VERSION_20) {
        facts.push_back(value("ngx_http_request_t", "http_major", request.http_major * 1000U + request.http_minor,
                              request.http_version));
    }
#if (NGX_HTTP_V2)
    if (request.unparsed_uri.len > 0) {
        const bool has_stream = request.stream != nullptr;
        facts.push_back(value("ngx_http_request_t", "stream", has_stream ? 1 : 0,
                              request.http_version == NGX_HTTP_VERSION_20 ? 1 : 0));
    }
#endif
}

}  // namespace

std::optional<std::string> find_difference(std::span<const LayoutFact> facts) {
    for (const LayoutFact& fact : facts) {
        if (fact.ours == fact.nginxs) {
            continue;
        }
        std::string sentence{fact.structure};
        sentence.append("::").append(fact.member);
        if (fact.kind == LayoutFact::Kind::offset) {
            sentence.append(" is at byte ").append(std::to_string(fact.nginxs));
            sentence.append(" of the structure, and at ").append(std::to_string(fact.ours));
            sentence.append(" in the headers that the module was built with");
        } else {
            sentence.append(" is not where the headers have it that the module was built with");
        }
        return sentence;
    }
    return std::nullopt;
}

bool shows_body_bits(const ngx_http_request_t& request) noexcept {
    return request.headers_in.content_length_n > 0 && request.internal == 0 && request.request_body == nullptr;
}

LayoutFacts request_facts(const RequestCopies& copies, const ngx_http_request_t* address, const NginxsAnswers& answers,
                          RequestMoment moment) {
    const ngx_http_request_t& request = copies.request;
    LayoutFacts facts;
    facts.push_back(value("ngx_http_request_t", "signature", request.signature, NGX_HTTP_MODULE));
    facts.push_back(value("ngx_http_request_t", "main", copies.main.signature, NGX_HTTP_MODULE));
    facts.push_back(value("ngx_http_request_t", "main", address_of(copies.main.main), address_of(request.main)));
    if (answers.variable != nullptr) {
        facts.push_back(
            value("ngx_http_request_t", "variables",
                  address_of(request.variables) + answers.variable_index * sizeof(ngx_http_variable_value_t),
                  address_of(answers.variable)));
    }
    if (answers.request_length) {
        facts.push_back(value("ngx_http_request_t", "request_length",
                              static_cast<std::uint64_t>(request.request_length), *answers.request_length));
    }
    if (answers.connection_number) {
        facts.push_back(value("ngx_connection_t", "number", copies.connection.number, *answers.connection_number));
    }
    if (request.main == address) {
        add_facts_of_main(facts, copies, answers);
        if (moment == RequestMoment::body_untouched && shows_body_bits(request)) {
            // nginx sets the one when it starts to handle a request with a length, and the other when it drops a body.
            // They are neighbours, in the middle of the bits, where a further bit may leave those at the end in place.
            facts.push_back(
                value("ngx_http_request_t", "lingering_close", 2U * request.lingering_close + request.discard_body, 2));
        }
    }
#if (NGX_HTTP_V2)
    if (request.stream != nullptr) {
        facts.push_back(
            value("ngx_http_v2_stream_t", "request", address_of(copies.stream_request), address_of(request.main)));
    }
#endif
    return facts;
}

LayoutFacts event_facts(const ngx_connection_t& second_connection, const ngx_event_t* read_events,
                        const ngx_event_t* write_events) {
    return {value("ngx_connection_t", "read", address_of(second_connection.read), address_of(read_events + 1)),
            value("ngx_connection_t", "write", address_of(second_connection.write), address_of(write_events + 1))};
}

}  // namespace runledger::edge

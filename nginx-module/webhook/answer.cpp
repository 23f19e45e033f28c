#include "nginx-module/webhook/answer.hpp"

#include <stdexcept>
#include <utility>

#include "common/limits.hpp"
#include "nginx-module/nginx/request.hpp"

namespace runledger::edge {

namespace {

// The sender never reads an answer's body (docs/sender.md, "Delivery"); a person who tries the endpoint by hand does.
constexpr std::string_view accepted_body = "{\"status\":\"accepted\"}\n";

// {"type":…,"title":…,"status":…,"detail":…} and a line's end.
[[nodiscard]] std::string to_document(const Problem& problem) {
    std::string document;
    document.reserve(256);
    document += R"({"type":"urn:runledger:problem:)";
    document += problem.word;
    document += R"(","title":")";
    document += problem.title;
    document += R"(","status":)";
    document += std::to_string(problem.http_status);
    document += R"(,"detail":")";
    document += problem.detail;
    document += "\"}\n";
    return document;
}

}  // namespace

Problem problem_of(const Refusal& refusal) {
    std::string detail{describe(refusal.fault)};
    if (refusal.offset > 0) {
        detail += ", at byte " + std::to_string(refusal.offset);
    }
    return {RequestOutcome::refused_json, 400, to_word(refusal.fault), "The body holds no event", std::move(detail)};
}

Problem problem_of_encoding() {
    return {RequestOutcome::refused_type, 415, "content_encoding_refused", "The body is encoded",
            "an event is sent without a Content-Encoding, such as gzip"};
}

Problem problem_of(RequestOutcome outcome) {
    static_assert(body_bytes_max == 8UL * 1024 * 1024, "the sentence below says 8 MiB");
    switch (outcome) {
        case RequestOutcome::refused_token:
            return {outcome, 401, "token_refused", "The token is missing or wrong",
                    "the webhook's URL must contain a token that the receiver accepts"};
        case RequestOutcome::refused_method:
            return {outcome, 405, "method_not_allowed", "The method is not allowed",
                    "an event comes as POST, or as GET with a body if it is sent again"};
        case RequestOutcome::refused_size:
            return {outcome, 413, "body_too_large", "The body is too large", "a body has at most 8 MiB"};
        case RequestOutcome::refused_type:
            return {outcome, 415, "content_type_not_json", "The content type is not application/json",
                    "an event's content type is application/json"};
        case RequestOutcome::spool_full:
            return {outcome, 503, "spool_full", "The spool is full",
                    "the event may not have been stored; send it again"};
        case RequestOutcome::over_bound:
            return {outcome, 503, "over_bound", "Too many events are held", "the event was not stored; send it again"};
        case RequestOutcome::timeout:
            return {outcome, 503, "not_stored_in_time", "The event could not be stored in time",
                    "the event may not have been stored; send it again"};
        case RequestOutcome::body_unreadable:
            return {outcome, 503, "body_unreadable", "The body could not be read back",
                    "the event was not stored; send it again"};
        case RequestOutcome::failed:
            return {outcome, 503, "failed", "The receiver failed", "the event may not have been stored; send it again"};
        case RequestOutcome::none:
        case RequestOutcome::accepted:
        case RequestOutcome::redelivered:
        case RequestOutcome::refused_json:
        case RequestOutcome::client_gone:
        case RequestOutcome::refused_by_nginx:
        case RequestOutcome::incompatible:  // nginx's own page: a document of ours would touch the request.
            break;
    }
    throw std::logic_error("no problem document for this outcome");
}

ngx_int_t send_accepted(ngx_http_request_t& request) noexcept {
    // If-Match and its like, left to nginx's filter, would turn the answer to a stored event into 304 or 412. nginx's
    // proxy and FastCGI do so for the same reason.
    ignore_conditions(request);
    return send_text(request, NGX_HTTP_OK, "application/json", accepted_body);
}

ngx_int_t send_problem(ngx_http_request_t& request, const Problem& problem) {
    if (problem.http_status == NGX_HTTP_UNAUTHORIZED) {
        add_header(request, "WWW-Authenticate", "Bearer realm=\"runledger\"");
    } else if (problem.http_status == NGX_HTTP_NOT_ALLOWED) {
        add_header(request, "Allow", "POST, GET");
    }
    // nginx's handler of special responses has no place for a document of ours: what it sends without an error_page is
    // its own HTML. So the document is sent from here, but only where that takes nothing from the operator.
    if (has_error_page(request, problem.http_status)) {
        return static_cast<ngx_int_t>(problem.http_status);
    }
    std::string written = to_document(problem);
    const auto& document = make_in_request<std::string>(request, std::move(written));
    want_no_body(request);
    if (problem.http_status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        close_after_answer(request);  // As nginx does: a connection is cheaper than the rest of the body.
    }
    return send_text(request, problem.http_status, "application/problem+json", document);
}

}  // namespace runledger::edge

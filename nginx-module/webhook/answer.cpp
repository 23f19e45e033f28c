#include "nginx-module/webhook/answer.hpp"

#include <stdexcept>

#include "common/limits.hpp"

namespace runledger::edge {

namespace {

// The sender never reads an answer's body (docs/sender.md, "Delivery"); a person who tries the endpoint by hand does.
constexpr std::string_view accepted_body = "{\"status\":\"accepted\"}\n";

// Would nginx answer this status with the operator's error_page? The same condition as that of its own handler of
// special responses, which takes over when a content handler gives it a bare code. That handler has no place for a
// document of ours: what it sends without an error_page is its own HTML. So the document is sent from here, but only
// where that takes nothing from the operator.
[[nodiscard]] bool has_error_page(const ngx_http_request_t& request, ngx_uint_t status) noexcept {
    const auto& core =
        *static_cast<ngx_http_core_loc_conf_t*>(ngx_http_get_module_loc_conf(&request, ngx_http_core_module));
    if (request.error_page != 0 || core.error_pages == nullptr || request.uri_changes == 0) {
        return false;
    }
    const auto* pages = static_cast<const ngx_http_err_page_t*>(core.error_pages->elts);
    for (ngx_uint_t i = 0; i < core.error_pages->nelts; ++i) {
        if (pages[i].status == static_cast<ngx_int_t>(status)) {
            return true;
        }
    }
    return false;
}

[[nodiscard]] ngx_int_t send(ngx_http_request_t& request, ngx_uint_t status, std::string_view type,
                             std::string_view text) noexcept {
    ngx_str_t content_type = borrow(type);
    ngx_http_complex_value_t body{};
    body.value = borrow(text);
    return ngx_http_send_response(&request, status, &content_type, &body);
}

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
            break;
    }
    throw std::logic_error("no problem document for this outcome");
}

ngx_int_t send_accepted(ngx_http_request_t& request) noexcept {
    // What is sent is no representation of the resource: If-Match and its like, left to nginx's filter, would turn the
    // answer to a stored event into 304 or 412. nginx's proxy and FastCGI set it for the same reason.
    request.disable_not_modified = 1;
    return send(request, NGX_HTTP_OK, "application/json", accepted_body);
}

ngx_int_t send_problem(ngx_http_request_t& request, const Problem& problem) {
    if (problem.http_status == NGX_HTTP_UNAUTHORIZED) {
        add_header(request, "WWW-Authenticate", "Bearer realm=\"runledger\"");
    } else if (problem.http_status == NGX_HTTP_NOT_ALLOWED) {
        add_header(request, "Allow", "POST, GET");
    }
    if (has_error_page(request, problem.http_status)) {
        return static_cast<ngx_int_t>(problem.http_status);
    }
    auto& document = make_in_pool<std::string>(*request.pool, to_document(problem));
    request.expect_tested = 1;  // The body is not wanted any more: no 100 Continue.
    if (problem.http_status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        request.keepalive = 0;  // As nginx does: a connection is cheaper than the rest of the body.
    }
    return send(request, problem.http_status, "application/problem+json", document);
}

}  // namespace runledger::edge

#include "nginx-module/webhook/answer.hpp"

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

}  // namespace

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
    const auto& document = make_in_pool<std::string>(*request.pool, to_document(problem));
    request.expect_tested = 1;  // The body is not wanted any more: no 100 Continue.
    if (problem.http_status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        request.keepalive = 0;  // As nginx does: a connection is cheaper than the rest of the body.
    }
    return send(request, problem.http_status, "application/problem+json", document);
}

}  // namespace runledger::edge

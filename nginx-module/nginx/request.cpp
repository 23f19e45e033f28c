#include "nginx-module/nginx/request.hpp"

#include <netinet/in.h>

#include <cstring>
#include <new>

#include "nginx-module/nginx/body.hpp"

namespace runledger::edge {

namespace {

[[nodiscard]] const ngx_http_core_loc_conf_t& core_conf(const ngx_http_request_t& request) noexcept {
    return *static_cast<const ngx_http_core_loc_conf_t*>(ngx_http_get_module_loc_conf(&request, ngx_http_core_module));
}

[[nodiscard]] std::optional<std::string_view> value_of(const ngx_table_elt_t* header) noexcept {
    return header != nullptr ? std::optional{view(header->value)} : std::nullopt;
}

}  // namespace

bool is_subrequest(const ngx_http_request_t& request) noexcept { return &request != request.main; }

bool is_internal(const ngx_http_request_t& request) noexcept { return request.internal != 0; }

bool may_lack_context(const ngx_http_request_t& request) noexcept {
    return request.internal != 0 || request.filter_finalize != 0;
}

bool is_post_action(const ngx_http_request_t& request) noexcept { return request.post_action != 0; }

std::string_view client_address(const ngx_http_request_t& request) noexcept {
    return view(request.connection->addr_text);
}

std::span<const std::byte> client_network(const ngx_http_request_t& request) noexcept {
    constexpr std::size_t network_bytes = 8;
    const sockaddr* address = request.connection->sockaddr;
    if (address->sa_family == AF_INET) {
        // NOLINTNEXTLINE: as the family says.
        return std::as_bytes(std::span(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr, 1));
    }
    if (address->sa_family == AF_INET6) {
        // NOLINTNEXTLINE: as above.
        const auto* whole = &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
        return std::as_bytes(std::span(whole, 1)).first(network_bytes);
    }
    return {};
}

std::string_view location_name(const ngx_http_request_t& request) noexcept { return view(core_conf(request).name); }

bool is_post(const ngx_http_request_t& request) noexcept { return request.method == NGX_HTTP_POST; }

bool is_get(const ngx_http_request_t& request) noexcept { return request.method == NGX_HTTP_GET; }

bool is_get_or_head(const ngx_http_request_t& request) noexcept {
    return (request.method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) != 0;
}

std::optional<std::string_view> content_type(const ngx_http_request_t& request) noexcept {
    return value_of(request.headers_in.content_type);
}

std::optional<std::string_view> user_agent(const ngx_http_request_t& request) noexcept {
    return value_of(request.headers_in.user_agent);
}

std::optional<std::size_t> content_length(const ngx_http_request_t& request) noexcept {
    const off_t bytes = request.headers_in.content_length_n;
    return bytes >= 0 ? std::optional{static_cast<std::size_t>(bytes)} : std::nullopt;
}

bool is_same_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && ngx_strncasecmp(borrow(a).data, borrow(b).data, a.size()) == 0;
}

bool has_header(const ngx_http_request_t& request, std::string_view name,
                bool (*is_wanted)(std::string_view value) noexcept) noexcept {
    for (const ngx_list_part_t* part = &request.headers_in.headers.part; part != nullptr; part = part->next) {
        const auto* headers = static_cast<const ngx_table_elt_t*>(part->elts);
        for (ngx_uint_t i = 0; i < part->nelts; ++i) {
            if (is_same_ignoring_case(view(headers[i].key), name) && is_wanted(view(headers[i].value))) {
                return true;
            }
        }
    }
    return false;
}

bool has_body(const ngx_http_request_t& request) noexcept {
    if (is_subrequest(request) && request.background == 0) {
        return false;
    }
    if (request.request_body != nullptr) {  // Read before nginx sent the request here: HTTP/2 has nothing left to say.
        return request.request_body->bufs != nullptr;
    }
    if (request.headers_in.content_length_n > 0 || request.headers_in.chunked != 0) {
        return true;
    }
    return request.stream != nullptr && request.stream->in_closed == 0 && request.headers_in.content_length_n < 0;
}

bool is_body_whole(const ngx_http_request_t& request) noexcept {
    return request.request_body_no_buffering == 0 ||
           static_cast<off_t>(body_size(request)) == request.headers_in.content_length_n;
}

std::size_t body_in_memory_bytes_max(const ngx_http_request_t& request) noexcept {
    const auto& core = core_conf(request);
    return core.client_body_in_file_only == 0 ? core.client_body_buffer_size : 0;
}

ngx_uint_t answer_status(const ngx_http_request_t& request) noexcept {
    return request.err_status != 0 ? request.err_status : request.headers_out.status;
}

bool has_failed_connection(const ngx_http_request_t& request) noexcept { return request.connection->error != 0; }

bool was_refused_by_limit_req(const ngx_http_request_t& request) noexcept {
    constexpr unsigned rejected = 3;  // As ngx_http_limit_req_module.c numbers it, and $limit_req_status names it.
    return request.main->limit_req_status == rejected;
}

bool was_refused_by_limit_conn(const ngx_http_request_t& request) noexcept {
    constexpr unsigned rejected = 2;  // As ngx_http_limit_conn_module.c does.
    return request.main->limit_conn_status == rejected;
}

// The same condition as that of nginx's own handler of special responses, which takes over when a content handler gives
// it a bare code.
bool has_error_page(const ngx_http_request_t& request, ngx_uint_t status) noexcept {
    const auto& core = core_conf(request);
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

void ignore_conditions(ngx_http_request_t& request) noexcept { request.disable_not_modified = 1; }

void want_no_body(ngx_http_request_t& request) noexcept { request.expect_tested = 1; }

void close_after_answer(ngx_http_request_t& request) noexcept { request.keepalive = 0; }

ngx_int_t send_text(ngx_http_request_t& request, ngx_uint_t status, std::string_view type,
                    std::string_view text) noexcept {
    ngx_str_t content_type = borrow(type);
    ngx_http_complex_value_t body{};
    body.value = borrow(text);
    return ngx_http_send_response(&request, status, &content_type, &body);
}

std::string_view copy_untouched(ngx_http_request_t& request, std::string_view text) {
    const ngx_http_cleanup_t* cleanup = ngx_http_cleanup_add(&request, text.size());  // Without a call: only memory.
    if (cleanup == nullptr) {
        throw std::bad_alloc{};
    }
    auto* copy = static_cast<char*>(cleanup->data);
    std::memcpy(copy, text.data(), text.size());
    return {copy, text.size()};
}

void watch_client(ngx_http_request_t& request) noexcept { request.read_event_handler = ngx_http_test_reading; }

void finalize(ngx_http_request_t& request, ngx_int_t rc) noexcept {
    ngx_connection_t* connection = request.connection;  // The request may be gone afterwards.
    ngx_http_finalize_request(&request, rc);
    ngx_http_run_posted_requests(connection);
}

void call_at_end(ngx_http_request_t& request, void (*call)(void* data) noexcept, void* data) {
    ngx_http_cleanup_t* cleanup = ngx_http_cleanup_add(&request, 0);
    if (cleanup == nullptr) {
        throw std::bad_alloc{};
    }
    cleanup->handler = nginx_callback(call);
    cleanup->data = data;
}

void set_context(ngx_http_request_t& request, void* context) noexcept {
    ngx_http_set_ctx((&request), context, ngx_http_runledger_module);
}

void* find_context(const ngx_http_request_t& request) noexcept {
    return ngx_http_get_module_ctx((&request), ngx_http_runledger_module);
}

ngx_str_t variable_text(ngx_http_request_t& request, ngx_int_t index) noexcept {
    const ngx_http_variable_value_t* value = ngx_http_get_flushed_variable(&request, static_cast<ngx_uint_t>(index));
    if (value == nullptr || value->not_found != 0) {
        return {};
    }
    return {value->len, value->data};
}

void set_value(ngx_http_variable_value_t& value, std::string_view text) noexcept {
    value.not_found = text.empty() ? 1 : 0;
    value.valid = text.empty() ? 0 : 1;
    value.no_cacheable = 0;
    value.len = static_cast<unsigned>(text.size()) & 0x0FFF'FFFFU;  // 28 bits wide; a run_id has at most 128 bytes.
    value.data = borrow(text).data;
}

void add_variable(ngx_conf_t& cf, std::string_view name, GetVariable get) {
    ngx_str_t text = borrow(name);
    ngx_http_variable_t* variable = ngx_http_add_variable(&cf, &text, NGX_HTTP_VAR_NOCACHEABLE);
    if (variable == nullptr) {
        throw std::bad_alloc{};
    }
    variable->get_handler = nginx_callback(get);
}

}  // namespace runledger::edge

// What the module reads of a request of nginx's and does with it: the one place that knows where in nginx's structures
// it lies. Above this room a request is a reference that is handed on.
//
// For a request that the canary knows. Event-loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

// The connection's log, which an exception is reported to.
[[nodiscard]] inline ngx_log_t* log_of(const ngx_http_request_t& request) noexcept { return request.connection->log; }
// Memory that lives as long as the request; a subrequest has its parent's.
[[nodiscard]] inline ngx_pool_t& pool_of(const ngx_http_request_t& request) noexcept { return *request.pool; }

// Where the request came from.
[[nodiscard]] bool is_subrequest(const ngx_http_request_t& request) noexcept;
// nginx itself has sent it to where it is: by error_page, try_files, X-Accel-Redirect and the like, or as a subrequest.
[[nodiscard]] bool is_internal(const ngx_http_request_t& request) noexcept;
// nginx may have forgotten the module's context: an internal redirect, or an error_page of a filter.
[[nodiscard]] bool may_lack_context(const ngx_http_request_t& request) noexcept;
[[nodiscard]] bool is_post_action(const ngx_http_request_t& request) noexcept;

// Who sent it: the address as nginx's log shows it.
[[nodiscard]] std::string_view client_address(const ngx_http_request_t& request) noexcept;
// The network that one client can have for its own: an IPv4 address, or the first 64 bits of an IPv6 one. Empty for a
// Unix socket. Lives as long as the connection's address.
[[nodiscard]] std::span<const std::byte> client_network(const ngx_http_request_t& request) noexcept;
// The location that serves it, as the configuration names it.
[[nodiscard]] std::string_view location_name(const ngx_http_request_t& request) noexcept;

// Its header.
[[nodiscard]] bool is_post(const ngx_http_request_t& request) noexcept;
[[nodiscard]] bool is_get(const ngx_http_request_t& request) noexcept;
[[nodiscard]] bool is_get_or_head(const ngx_http_request_t& request) noexcept;
[[nodiscard]] std::optional<std::string_view> content_type(const ngx_http_request_t& request) noexcept;
[[nodiscard]] std::optional<std::string_view> user_agent(const ngx_http_request_t& request) noexcept;
// Nothing where the client has not said, or nginx has not yet counted.
[[nodiscard]] std::optional<std::size_t> content_length(const ngx_http_request_t& request) noexcept;
// There is a header of this name, written in any case, whose value `is_wanted`.
[[nodiscard]] bool has_header(const ngx_http_request_t& request, std::string_view name,
                              bool (*is_wanted)(std::string_view value) noexcept) noexcept;
[[nodiscard]] bool is_same_ignoring_case(std::string_view a, std::string_view b) noexcept;
// True also while it is still to come. A copy that nginx mirrors has its parent's body for its own; other subrequests,
// such as SSI's and auth_request's, have their parent's header only.
[[nodiscard]] bool has_body(const ngx_http_request_t& request) noexcept;
// False where another location has passed the body on as it came (proxy_request_buffering off) and nginx then sent the
// request here: what is left of the body may still look like an event.
[[nodiscard]] bool is_body_whole(const ngx_http_request_t& request) noexcept;
// The most bytes of a body that nginx reads into memory; 0 where it writes every body to a file.
[[nodiscard]] std::size_t body_in_memory_bytes_max(const ngx_http_request_t& request) noexcept;

// Its answer, as it stands; 0 where there is none yet.
[[nodiscard]] ngx_uint_t answer_status(const ngx_http_request_t& request) noexcept;
[[nodiscard]] bool has_failed_connection(const ngx_http_request_t& request) noexcept;
[[nodiscard]] bool was_refused_by_limit_req(const ngx_http_request_t& request) noexcept;
[[nodiscard]] bool was_refused_by_limit_conn(const ngx_http_request_t& request) noexcept;
// Would nginx answer this status with the operator's error_page?
[[nodiscard]] bool has_error_page(const ngx_http_request_t& request, ngx_uint_t status) noexcept;

// What is done with it.
// If-Match and its like don't apply to the answer: what is sent is no representation of the resource.
void ignore_conditions(ngx_http_request_t& request) noexcept;
// The body is not wanted any more: no 100 Continue.
void want_no_body(ngx_http_request_t& request) noexcept;
void close_after_answer(ngx_http_request_t& request) noexcept;
// The type is copied, the text is not: it must live as long as the request. Returns what
// ngx_http_finalize_request() is to be called with.
[[nodiscard]] ngx_int_t send_text(ngx_http_request_t& request, ngx_uint_t status, std::string_view type,
                                  std::string_view text) noexcept;
// A copy that lives as long as the request, also of one that the canary does not know: made by nginx's functions alone,
// as send_text() is. Throws std::bad_alloc.
[[nodiscard]] std::string_view copy_untouched(ngx_http_request_t& request, std::string_view text);
// While the request is suspended, nginx notices a client that leaves.
void watch_client(ngx_http_request_t& request) noexcept;
// Of a suspended request. The request, and all that is in its pool, may be gone afterwards.
void finalize(ngx_http_request_t& request, ngx_int_t rc) noexcept;
// When nginx ends the request, before its pool goes. Throws std::bad_alloc.
void call_at_end(ngx_http_request_t& request, void (*call)(void* data) noexcept, void* data);

// What the module keeps with a request until nginx forgets it (may_lack_context()).
void set_context(ngx_http_request_t& request, void* context) noexcept;
[[nodiscard]] void* find_context(const ngx_http_request_t& request) noexcept;

// What a variable of the configuration says, by its index; empty where it says nothing.
[[nodiscard]] ngx_str_t variable_text(ngx_http_request_t& request, ngx_int_t index) noexcept;
// A variable of the module's own: its value, which must live as long as the request. Empty: it has none.
void set_value(ngx_http_variable_value_t& value, std::string_view text) noexcept;
using GetVariable = ngx_int_t (*)(ngx_http_request_t*, ngx_http_variable_value_t*, uintptr_t) noexcept;
// Throws std::bad_alloc.
void add_variable(ngx_conf_t& cf, std::string_view name, GetVariable get);

// make_in_pool() and find_in_pool() with the request's pool.
template <class T, class... Args>
[[nodiscard]] T& make_in_request(const ngx_http_request_t& request, Args&&... args) {
    return make_in_pool<T>(pool_of(request), std::forward<Args>(args)...);
}
template <class T, class Predicate>
[[nodiscard]] T* find_in_request(const ngx_http_request_t& request, Predicate&& is_wanted) noexcept {
    return find_in_pool<T>(pool_of(request), std::forward<Predicate>(is_wanted));
}

}  // namespace runledger::edge

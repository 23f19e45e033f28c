#include "nginx-module/nginx/ngx.hpp"

#include <algorithm>
#include <cstring>

namespace runledger::edge {

namespace {

// nginx cuts a line at NGX_MAX_ERROR_STR, time and address included.
constexpr std::size_t line_bytes_max = 1900;
static_assert(line_bytes_max < NGX_MAX_ERROR_STR);

// Without the handler that adds a request's context.
[[nodiscard]] ngx_log_t quiet(const ngx_log_t& log) noexcept {
    ngx_log_t copy = log;
    copy.handler = nullptr;
    copy.data = nullptr;
    return copy;
}

}  // namespace

// The macro ngx_log_error() throughout, and not the function under it: Angie's function takes a file's name as well.

void log_line(const ngx_log_t* log, ngx_uint_t level, std::string_view text) noexcept {
    ngx_log_t to = quiet(*log);
    ngx_log_error(level, &to, 0, "runledger: %*s", std::min(text.size(), line_bytes_max), text.data());
}

void log_line(const ngx_http_request_t& request, ngx_uint_t level, std::string_view text) noexcept {
    ngx_log_t to = quiet(*request.connection->log);
    ngx_log_error(level, &to, 0, "runledger: %*s, client: %V", std::min(text.size(), line_bytes_max), text.data(),
                  &request.connection->addr_text);
}

void log_escaped_exception(const ngx_log_t* log, const char* what) noexcept {
    ngx_log_t to = quiet(*log);
    try {
        throw;
    } catch (const std::bad_alloc&) {
        ngx_log_error(NGX_LOG_CRIT, &to, 0, "runledger: out of memory (%s)", what);
    } catch (const std::exception& error) {
        ngx_log_error(NGX_LOG_ALERT, &to, 0, "runledger: unexpected exception (%s): %s", what, error.what());
    } catch (...) {  // Not a std::exception: thrown by nothing we call, but the gate lets nothing through.
        ngx_log_error(NGX_LOG_ALERT, &to, 0, "runledger: unexpected exception (%s)", what);
    }
}

std::string_view copy_to_pool(ngx_pool_t& pool, std::string_view text) {
    if (text.empty()) {
        return {};
    }
    auto* copy = static_cast<char*>(ngx_pnalloc(&pool, text.size()));
    if (copy == nullptr) {
        throw std::bad_alloc{};
    }
    std::memcpy(copy, text.data(), text.size());
    return {copy, text.size()};
}

void add_header(ngx_http_request_t& request, std::string_view name, std::string_view value) {
    auto* header = static_cast<ngx_table_elt_t*>(ngx_list_push(&request.headers_out.headers));
    if (header == nullptr) {
        throw std::bad_alloc{};
    }
    *header = ngx_table_elt_t{};
    header->hash = 1;
    header->key = borrow(name);
    header->value = borrow(value);
}

}  // namespace runledger::edge

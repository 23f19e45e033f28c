#include "nginx-module/nginx/request_mask.hpp"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory_resource>
#include <string>
#include <string_view>

#include "nginx-module/nginx/request.hpp"
#include "nginx-module/token/token_file.hpp"
#include "nginx-module/token/token_mask.hpp"

namespace runledger::edge {

namespace {

[[nodiscard]] bool is_within(const ngx_str_t& text, const u_char* begin, const u_char* end) noexcept {
    return text.data >= begin && text.data < end && text.len <= static_cast<std::size_t>(end - text.data);
}

[[nodiscard]] bool is_part(const ngx_str_t& text, const ngx_str_t& whole) noexcept {
    return text.len > 0 && is_within(text, whole.data, whole.data + whole.len);
}

[[nodiscard]] bool is_in_pool(const ngx_str_t& text, const ngx_pool_t* pool) noexcept {
    if (pool == nullptr) {
        return false;
    }
    for (const ngx_pool_large_t* large = pool->large; large != nullptr; large = large->next) {
        const auto* begin = static_cast<const u_char*>(large->alloc);  // nullptr where it has been freed.
        if (begin != nullptr && is_within(text, begin, begin + malloc_usable_size(large->alloc))) {
            return true;
        }
    }
    for (const ngx_pool_t* block = pool; block != nullptr; block = block->d.next) {
        // NOLINTNEXTLINE: a block begins with its own description.
        if (is_within(text, reinterpret_cast<const u_char*>(block), block->d.last)) {
            return true;
        }
    }
    return false;
}

[[nodiscard]] bool is_in_buffer(const ngx_str_t& text, const ngx_buf_t* buffer) noexcept {
    return buffer != nullptr && is_within(text, buffer->start, buffer->end);
}

[[nodiscard]] bool is_own(const ngx_http_request_t& request, const ngx_str_t& text) noexcept {
    const ngx_http_request_t& main = *request.main;  // A subrequest does not know its HTTP connection.
    if (main.stream == nullptr && is_in_buffer(text, request.connection->buffer)) {
        return true;  // Most of HTTP/1's.
    }
    if (is_in_pool(text, request.pool)) {
        return true;
    }
    if (main.stream != nullptr) {
        return is_in_pool(text, main.stream->pool);
    }
#if (NGX_HTTP_V3)
    if (main.connection->quic != nullptr) {
        return is_in_pool(text, main.connection->pool);  // HTTP/3's fields, which live as long as their stream.
    }
#endif
    for (const ngx_chain_t* link = main.http_connection->busy; link != nullptr; link = link->next) {
        if (is_in_buffer(text, link->buf)) {
            return true;
        }
    }
    return false;
}

// The text's bytes, or none where they are not the request's own.
[[nodiscard]] Writable writable(const ngx_http_request_t& request, const ngx_str_t& text) noexcept {
    if (text.len == 0 || !is_own(request, text)) {
        return {};
    }
    // NOLINTNEXTLINE: nginx's characters are unsigned, ours are not; the bytes are the same.
    return {reinterpret_cast<char*>(text.data), text.len};
}

[[nodiscard]] Writable path_of(Writable uri) noexcept {
    return uri.first(static_cast<std::size_t>(std::ranges::find(uri, '?') - uri.begin()));
}

// "POST /path?args HTTP/1.1", or as HTTP/0.9 has it, "GET /path?args".
[[nodiscard]] Writable uri_of_request_line(Writable line) noexcept {
    const std::string_view text{line.data(), line.size()};
    const std::size_t first = text.find(' ');
    if (first == std::string_view::npos) {
        return {};
    }
    const std::size_t last = text.rfind(' ');
    const std::size_t end = last == first ? text.size() : last;
    return line.subspan(first + 1, end - first - 1);
}

// $http_x_token is X-Token.
[[nodiscard]] bool is_header_of_variable(std::string_view header, std::string_view variable) noexcept {
    const auto normal = [](char c) { return c == '-' ? '_' : static_cast<char>(ngx_tolower(c)); };
    return std::ranges::equal(header, variable, {}, normal, normal);
}

class RequestMask {
public:
    RequestMask(ngx_http_request_t& request, const TokenRule& rule, const PresentedToken& presented)
        : request_{request},
          rule_{rule},
          presented_{presented.value},
          value_{view(presented.value), &memory_},
          is_escaped_{value_.find('%') != std::string_view::npos},
          unescaped_{is_escaped_ ? std::string_view{unescape(value_)} : std::string_view{value_}, &memory_},
          is_searched_{presented.is_known && unescaped_.size() >= token_bytes_weak} {}

    void run() {
        mask(writable(request_, presented_));
        for (const ngx_http_request_t* one = &request_; one != nullptr; one = one->parent) {
            mask_uri(*one);
        }
        mask_headers();
        mask_variables();
    }

private:
    void mask_value_in(Writable text, Bounds bounds) const {
        mask_value(text, value_, bounds);
        if (is_escaped_) {
            mask_value(text, unescaped_, bounds);
        }
    }

    // Any text that may hold arguments.
    void mask_text(Writable text) const {
        if (rule_.source == TokenSource::argument) {
            mask_argument(text, rule_.source_name);
        }
        if (is_searched_) {
            mask_value_in(text, Bounds::anywhere);
        }
    }

    void mask_uri(const ngx_http_request_t& one) const {
        const Writable sent = writable(one, one.unparsed_uri);
        mask_text(sent);
        for (const ngx_str_t& text : {one.args, one.uri}) {
            if (!is_part(text, one.unparsed_uri)) {  // Otherwise it has been masked, or may not be written to either.
                mask_text(writable(one, text));
            }
        }
        if (rule_.source == TokenSource::other && !value_.empty()) {
            mask_derived(one, sent);
        }
        mask_request_line(one, sent);
    }

    // The variable was captured from the path, or made in a way that can't be seen from here.
    void mask_derived(const ngx_http_request_t& one, Writable sent) const {
        if (writable(request_, presented_).empty()) {
            return;  // The operator's own words, from an error_page or a map: the client has not sent them.
        }
        if (is_part(presented_, one.unparsed_uri)) {
            return;  // nginx's path is the one that was sent, and the value has been masked in it.
        }
        if (is_part(presented_, one.uri)) {
            // nginx's path is a copy without escapes, dots and doubled slashes. Where the value can't be found in what
            // was sent, nginx has made it of something else: then the whole path goes.
            const Writable path = path_of(sent);
            if (!mask_value(path, value_, Bounds::anywhere)) {
                mask(path);
            }
            return;
        }
        for (const Writable text : {sent, writable(one, one.args), writable(one, one.uri)}) {
            mask_value_in(text, Bounds::whole_word);
        }
    }

    // HTTP/1's is where the URI lies; HTTP/2's is made of a copy.
    static void mask_request_line(const ngx_http_request_t& one, Writable sent) {
        if (is_part(one.unparsed_uri, one.request_line) || sent.empty()) {
            return;
        }
        const Writable uri = uri_of_request_line(writable(one, one.request_line));
        if (uri.size() == sent.size()) {
            std::ranges::copy(sent, uri.begin());
        } else {
            mask(uri);
        }
    }

    void mask_headers() const {
        const ngx_list_part_t* part = &request_.headers_in.headers.part;
        for (; part != nullptr; part = part->next) {
            const auto* headers = static_cast<const ngx_table_elt_t*>(part->elts);
            for (ngx_uint_t i = 0; i < part->nelts; ++i) {
                mask_header(view(headers[i].key), headers[i].value);
            }
        }
    }

    void mask_header(std::string_view name, const ngx_str_t& value) const {
        switch (rule_.source) {
            case TokenSource::argument:
                if (is_same_ignoring_case(name, "referer")) {
                    mask_argument(writable(request_, value), rule_.source_name);
                }
                break;
            case TokenSource::header:
                if (is_header_of_variable(name, rule_.source_name)) {
                    mask(writable(request_, value));
                }
                break;
            case TokenSource::cookie:
                if (is_same_ignoring_case(name, "cookie")) {
                    mask_cookie(writable(request_, value), rule_.source_name);
                }
                break;
            case TokenSource::other:
                if (is_same_ignoring_case(name, "authorization")) {
                    mask_value_in(writable(request_, value), Bounds::whole_word);
                }
                break;
        }
        if (is_searched_ && value.len >= unescaped_.size()) {  // A shorter one can't hold it, however escaped.
            mask_value_in(writable(request_, value), Bounds::anywhere);
        }
    }

    // Values that nginx has made before and keeps, such as $http_cookie of several headers. $request_body is the event
    // itself, which is nobody's to change.
    void mask_variables() const {
        const auto& core = *static_cast<const ngx_http_core_main_conf_t*>(
            ngx_http_get_module_main_conf((&request_), ngx_http_core_module));
        const auto* variables = static_cast<const ngx_http_variable_t*>(core.variables.elts);
        for (ngx_uint_t i = 0; i < core.variables.nelts; ++i) {
            const ngx_http_variable_value_t& kept = request_.variables[i];
            const std::string_view name = view(variables[i].name);
            if (kept.valid == 0 || kept.not_found != 0 || name == "request_body") {
                continue;
            }
            const ngx_str_t value{kept.len, kept.data};
            if (is_part(value, request_.unparsed_uri)) {
                continue;  // As above.
            }
            const Writable text = writable(request_, value);
            mask_text(text);
            if (rule_.source == TokenSource::cookie && name == "http_cookie") {
                mask_cookie(text, rule_.source_name);
            }
        }
    }

    const ngx_http_request_t& request_;
    const TokenRule& rule_;
    ngx_str_t presented_;
    std::array<std::byte, 512> room_;  // For the texts below, unless they are very long.
    std::pmr::monotonic_buffer_resource memory_{room_.data(), room_.size()};
    std::pmr::string value_;
    bool is_escaped_;
    std::pmr::string unescaped_;  // The same as value_ where that has no escapes.
    bool is_searched_;
};

}  // namespace

void mask_token(ngx_http_request_t& request, const TokenRule& rule, const PresentedToken& presented) {
    RequestMask{request, rule, presented}.run();
}

}  // namespace runledger::edge

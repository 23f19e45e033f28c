#include "nginx-module/status/status.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "nginx-module/nginx/canary.hpp"
#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/event_loop.hpp"
#include "nginx-module/nginx/request.hpp"
#include "nginx-module/status/metrics.hpp"
#include "nginx-module/status/table.hpp"

namespace runledger::edge {

namespace {

struct Format {
    std::string_view name;  // As in ?format=
    std::string_view content_type;
    std::string (*render)(const MetricFamilies&);
};

constexpr std::array formats{
    Format{"prometheus", "text/plain; version=0.0.4; charset=utf-8", to_prometheus_text},
    Format{"json", "application/json", to_json},
};

// The first where none is asked for; nothing for one that there is not.
[[nodiscard]] const Format* find_format(ngx_http_request_t& request) {
    ngx_str_t asked{};
    std::string name{"format"};  // nginx wants characters that it could write to.
    if (ngx_http_arg(&request, borrow(name).data, name.size(), &asked) != NGX_OK) {
        return &formats.front();
    }
    const auto* found = std::ranges::find(formats, view(asked), &Format::name);
    return found != formats.end() ? found : nullptr;
}

[[nodiscard]] std::string render(const Format& format, const MainConf& main) {
    return format.render(metric_families(
        status_table(*main.status_zone).read(),
        {.spool_bytes_max = main.courier.spool.bytes_max, .daemon_endpoints = main.courier.link.endpoints.size()}));
}

[[nodiscard]] ngx_int_t send_status(ngx_http_request_t& request) {
    if (!is_get_or_head(request)) {
        add_header(request, "Allow", "GET, HEAD");
        return NGX_HTTP_NOT_ALLOWED;
    }
    const Format* format = find_format(request);
    if (format == nullptr) {
        return NGX_HTTP_BAD_REQUEST;
    }
    std::string rendered = render(*format, main_conf(request));
    const auto& text = make_in_request<std::string>(request, std::move(rendered));
    add_header(request, "Cache-Control", "no-store");
    return send_text(request, NGX_HTTP_OK, format->content_type, text);
}

// For a request that the canary does not know: by functions of nginx's alone. So there is no header of ours, and any
// method is answered.
[[nodiscard]] ngx_int_t send_status_untouched(ngx_http_request_t& request) {
    const Format* format = find_format(request);
    if (format == nullptr) {
        return NGX_HTTP_BAD_REQUEST;
    }
    const std::string_view text = copy_untouched(request, render(*format, current_main_conf()));
    return send_text(request, NGX_HTTP_OK, format->content_type, text);
}

}  // namespace

ngx_int_t on_status(ngx_http_request_t* request) noexcept {
    if (!canary::knows(*request)) {
        return guarded(
            current_log(), "show the status", [&] { return send_status_untouched(*request); },
            NGX_HTTP_INTERNAL_SERVER_ERROR);
    }
    return guarded(
        log_of(*request), "show the status", [&] { return send_status(*request); }, NGX_HTTP_INTERNAL_SERVER_ERROR);
}

}  // namespace runledger::edge

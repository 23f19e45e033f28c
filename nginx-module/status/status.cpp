#include "nginx-module/status/status.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "nginx-module/nginx/conf.hpp"
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

[[nodiscard]] ngx_int_t send_status(ngx_http_request_t& request) {
    if ((request.method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0) {
        add_header(request, "Allow", "GET, HEAD");
        return NGX_HTTP_NOT_ALLOWED;
    }
    const Format* format = find_format(request);
    if (format == nullptr) {
        return NGX_HTTP_BAD_REQUEST;
    }
    const MainConf& main = main_conf(request);
    auto& text = make_in_pool<std::string>(
        *request.pool, format->render(metric_families(status_table(*main.status_zone).read(),
                                                      {.spool_bytes_max = main.courier.spool.bytes_max,
                                                       .daemon_endpoints = main.courier.link.endpoints.size()})));
    add_header(request, "Cache-Control", "no-store");
    ngx_http_complex_value_t body{};
    body.value = borrow(text);
    ngx_str_t type = borrow(format->content_type);
    return ngx_http_send_response(&request, NGX_HTTP_OK, &type, &body);
}

}  // namespace

ngx_int_t on_status(ngx_http_request_t* request) noexcept {
    return guarded(
        request->connection->log, "show the status", [&] { return send_status(*request); },
        NGX_HTTP_INTERNAL_SERVER_ERROR);
}

}  // namespace runledger::edge

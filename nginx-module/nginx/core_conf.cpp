#include "nginx-module/nginx/core_conf.hpp"

#include <algorithm>

namespace runledger::edge {

namespace {

[[nodiscard]] ngx_array_t& handlers_of(const ngx_conf_t& cf, ngx_http_phases phase) noexcept {
    auto& core =
        *static_cast<ngx_http_core_main_conf_t*>(ngx_http_conf_get_module_main_conf((&cf), ngx_http_core_module));
    return core.phases[phase].handlers;
}

}  // namespace

std::string place_of(const ngx_conf_t& cf) {
    return std::string{view(cf.conf_file->file.name)} + ":" + std::to_string(cf.conf_file->line);
}

CoreLocation::CoreLocation(const ngx_conf_t& cf) noexcept
    : conf_{static_cast<ngx_http_core_loc_conf_t*>(ngx_http_conf_get_module_loc_conf((&cf), ngx_http_core_module))} {}

void add_handler(const ngx_conf_t& cf, ngx_http_phases phase, RequestHandler handler) {
    auto* place = static_cast<ngx_http_handler_pt*>(ngx_array_push(&handlers_of(cf, phase)));
    if (place == nullptr) {
        throw std::bad_alloc{};
    }
    *place = nginx_callback(handler);
}

void add_first_log_handler(const ngx_conf_t& cf, RequestHandler handler) {
    add_handler(cf, NGX_HTTP_LOG_PHASE, handler);
    const ngx_array_t& handlers = handlers_of(cf, NGX_HTTP_LOG_PHASE);
    auto* first = static_cast<ngx_http_handler_pt*>(handlers.elts);
    std::rotate(first, first + handlers.nelts - 1, first + handlers.nelts);
}

}  // namespace runledger::edge

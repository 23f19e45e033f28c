// nginx's own part of a configuration, as far as the module looks at it or changes it: the location that is read or
// merged, and the phases.
//
// In the master, while nginx reads a configuration. No exception but std::bad_alloc.
#pragma once

#include <string>
#include <string_view>

#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

[[nodiscard]] inline const ngx_log_t* log_of(const ngx_conf_t& cf) noexcept { return cf.log; }
[[nodiscard]] inline ngx_pool_t& pool_of(const ngx_conf_t& cf) noexcept { return *cf.pool; }
// "file:line" of what is read.
[[nodiscard]] std::string place_of(const ngx_conf_t& cf);

class CoreLocation {
public:
    explicit CoreLocation(const ngx_conf_t& cf) noexcept;

    [[nodiscard]] std::string_view name() const noexcept { return view(conf_->name); }
    // An if or limit_except block, which is a location of its own to nginx.
    [[nodiscard]] bool is_block() const noexcept { return conf_->noname != 0; }
    // The content handler, of which a location has one. Each module's sets it without asking.
    [[nodiscard]] bool has_handler() const noexcept { return conf_->handler != nullptr; }
    [[nodiscard]] bool is_handled_by(RequestHandler handler) const noexcept {
        return conf_->handler == nginx_callback(handler);
    }
    void set_handler(RequestHandler handler) noexcept { conf_->handler = nginx_callback(handler); }

private:
    ngx_http_core_loc_conf_t* conf_;
};

// A handler of a phase; it runs before those that are there already, but in the log phase after them.
void add_handler(const ngx_conf_t& cf, ngx_http_phases phase, RequestHandler handler);
// In the log phase, before those that are there already, of which nginx's own access log is one.
void add_first_log_handler(const ngx_conf_t& cf, RequestHandler handler);

}  // namespace runledger::edge

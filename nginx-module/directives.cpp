#include "nginx-module/directives.hpp"

#include "common/curve.hpp"
#include "nginx-module/nginx/canary.hpp"
#include "nginx-module/nginx/core_conf.hpp"
#include "nginx-module/status/status.hpp"
#include "nginx-module/webhook/receiver.hpp"

namespace runledger::edge {

namespace {

constexpr ngx_msec_t timeout_default = 15'000;
constexpr ngx_msec_t timeout_min = 100;
constexpr ngx_msec_t sender_patience = 20'000;  // docs/sender.md, "Delivery".

// The location's content handler is ours from now on; one location can have only one.
[[nodiscard]] char* claim_location(ngx_conf_t& cf, RequestHandler handler) {
    CoreLocation core{cf};
    if (core.has_handler()) {
        return refuse(cf, std::string{Words{cf}[0]} + " can't share its location with another content handler");
    }
    core.set_handler(handler);
    return NGX_CONF_OK;
}

[[nodiscard]] MainConf& main_conf(ngx_conf_t& cf) {
    return *static_cast<MainConf*>(ngx_http_conf_get_module_main_conf((&cf), ngx_http_runledger_module));
}

char* read_webhook(ngx_conf_t& cf, LocationConf& location) {
    location.is_webhook = true;
    MainConf& main = main_conf(cf);
    if (main.first_webhook.empty()) {
        main.first_webhook = place_of(cf);
    }
    return claim_location(cf, on_webhook);
}

char* read_status(ngx_conf_t& cf, LocationConf& location) {
    location.is_status = true;
    main_conf(cf).has_status = true;
    return claim_location(cf, on_status);
}

char* read_timeout(ngx_conf_t& cf, LocationConf& location) {
    const Words words{cf};
    if (location.timeout != NGX_CONF_UNSET_MSEC) {
        return refuse(cf, "runledger_timeout is given twice");
    }
    const ngx_int_t milliseconds = ngx_parse_time(&words.raw(1), 0);
    if (milliseconds == NGX_ERROR || milliseconds == 0) {
        return refuse(cf, "runledger_timeout: " + in_quotes(words[1]) + " is not a time, such as 15s");
    }
    static_assert(timeout_min == 100, "the sentence below says 100ms");
    if (static_cast<ngx_msec_t>(milliseconds) < timeout_min) {
        return refuse(cf, "runledger_timeout: " + in_quotes(words[1]) +
                              " is less than 100ms: a disk may take longer to store an event");
    }
    location.timeout = static_cast<ngx_msec_t>(milliseconds);
    if (location.timeout >= sender_patience) {
        warn(cf,
             "runledger_timeout: " + in_quotes(words[1]) + " is not less than the 20s after which the sender hangs up");
    }
    return NGX_CONF_OK;
}

// Directives of other modules, such as proxy_pass, take the location's content handler without asking: nginx would
// serve the later one, and a sender's token would reach an upstream unchecked. Here all of the location has been read.
[[nodiscard]] bool has_lost_location(ngx_conf_t& cf, const CoreLocation& core, const LocationConf& location) {
    const bool is_lost = (location.is_webhook && !core.is_handled_by(on_webhook)) ||
                         (location.is_status && !core.is_handled_by(on_status));
    if (is_lost) {
        static_cast<void>(refuse(cf, std::string{location.is_webhook ? "runledger_webhook" : "runledger_status"} +
                                         " in location " + in_quotes(core.name()) +
                                         " can't share its location with another content handler, such as proxy_pass"));
    }
    return is_lost;
}

// To nginx an if block and a limit_except block are locations of their own, without a name. A request that falls into
// one is still a webhook's: without a handler there, nginx would look for a file, and the sender's second and third
// try, which are GET, would be lost in `limit_except POST`. With a handler of another module it would take requests
// from the webhook: false, and the reason is in the log.
[[nodiscard]] bool inherit_handler(ngx_conf_t& cf, CoreLocation& core, const LocationConf& outer, LocationConf& inner) {
    if (!core.is_block() || !(outer.is_webhook || outer.is_status)) {
        return true;
    }
    if (core.has_handler()) {
        static_cast<void>(refuse(cf, std::string{outer.is_webhook ? "runledger_webhook" : "runledger_status"} +
                                         " in location " + in_quotes(core.name()) +
                                         " can't share an if or limit_except block with another content handler, such "
                                         "as proxy_pass"));
        return false;
    }
    if (outer.is_webhook) {
        inner.is_webhook = true;
        core.set_handler(on_webhook);
    } else {
        inner.is_status = true;
        core.set_handler(on_status);
    }
    return true;
}

// Makes nginx's directive setter of a function that can throw.
template <auto Read, class Conf>
char* read_directive(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    return guarded(
        log_of(*cf), "read a directive",
        [&] {
            if (canary::configuration_fault()) {
                return refuse(*cf, "nginx's structures are not those that the module was built with: " +
                                       *canary::configuration_fault());
            }
            return Read(*cf, *static_cast<Conf*>(conf));
        },
        static_cast<char*>(NGX_CONF_ERROR));
}

template <auto Read, class Conf>
constexpr auto directive = nginx_callback(read_directive<Read, Conf>);

constexpr ngx_uint_t any_level = NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF;

}  // namespace

ngx_command_t commands[] = {
    {ngx_string("runledger_spool"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE, directive<read_spool, MainConf>,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, nullptr},
    {ngx_string("runledger_daemon"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE, directive<read_daemon, MainConf>,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, nullptr},
    {ngx_string("runledger_curve"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE2, directive<read_curve, MainConf>,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, nullptr},
    {ngx_string("runledger_refused"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE, directive<read_refused, MainConf>,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, nullptr},
    {ngx_string("runledger_webhook"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, directive<read_webhook, LocationConf>,
     NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("runledger_status"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, directive<read_status, LocationConf>,
     NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("runledger_token"), any_level | NGX_CONF_TAKE12, directive<read_token, LocationConf>,
     NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("runledger_timeout"), any_level | NGX_CONF_TAKE1, directive<read_timeout, LocationConf>,
     NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};

void* create_main_conf(ngx_conf_t* cf) noexcept {
    canary::look_at_configuration(*cf);
    if (canary::configuration_fault()) {
        static MainConf none;  // Nothing will be written to it: no directive is read.
        return &none;
    }
    return guarded(
        log_of(*cf), "make the http configuration",
        [cf]() -> void* {
            auto& main = make_in_pool<MainConf>(pool_of(*cf));
            note_cycle(*cf, main);
            return &main;
        },
        nullptr);
}

void* create_location_conf(ngx_conf_t* cf) noexcept {
    if (canary::configuration_fault()) {
        static LocationConf none;
        return &none;
    }
    return guarded(
        log_of(*cf), "make a location's configuration",
        [cf]() -> void* { return &make_in_pool<LocationConf>(pool_of(*cf)); }, nullptr);
}

char* merge_location_conf(ngx_conf_t* cf, void* parent, void* child) noexcept {
    if (canary::configuration_fault()) {
        return NGX_CONF_OK;
    }
    return guarded(
        log_of(*cf), "merge a location's configuration",
        [&]() -> char* {
            const auto& outer = *static_cast<LocationConf*>(parent);
            auto& inner = *static_cast<LocationConf*>(child);
            CoreLocation core{*cf};
            if (has_lost_location(*cf, core, inner)) {
                return static_cast<char*>(NGX_CONF_ERROR);
            }
            if (inner.is_status && inner.token_rule() != nullptr) {
                return refuse(*cf, "runledger_token in location " + in_quotes(core.name()) +
                                       " protects nothing: runledger_status asks for no token; use allow and deny, or "
                                       "auth_basic");
            }
            ngx_conf_merge_msec_value(inner.timeout, outer.timeout, timeout_default);
            if (!inner.token) {
                inner.token = outer.token;
            }
            if (inner.is_webhook && !inner.token) {
                warn(*cf, "runledger_webhook in location " + in_quotes(core.name()) +
                              " without runledger_token: anyone can post events; runledger_token off says so is meant");
            }
            return inherit_handler(*cf, core, outer, inner) ? NGX_CONF_OK : static_cast<char*>(NGX_CONF_ERROR);
        },
        static_cast<char*>(NGX_CONF_ERROR));
}

bool check_main_conf(ngx_conf_t& cf, const MainConf& main) {
    for (const std::string& endpoint : main.courier.link.endpoints) {
        if (!main.courier.link.curve && leaves_the_host(endpoint)) {
            static_cast<void>(
                refuse(cf, "runledger_daemon: " + in_quotes(endpoint) +
                               " leaves this host, and needs runledger_curve at http level: anyone on the "
                               "way could read and forge events; use ipc:// or 127.0.0.1 on one host"));
            return false;
        }
    }
    if (main.first_webhook.empty()) {
        return true;
    }
    if (main.courier.spool.folder.empty()) {
        static_cast<void>(refuse(cf, "runledger_webhook in " + main.first_webhook +
                                         " needs runledger_spool at http level: there is no place to store events"));
        return false;
    }
    if (main.courier.link.endpoints.empty()) {
        static_cast<void>(refuse(cf, "runledger_webhook in " + main.first_webhook +
                                         " needs runledger_daemon at http level: there is nobody to send events to"));
        return false;
    }
    return true;
}

}  // namespace runledger::edge

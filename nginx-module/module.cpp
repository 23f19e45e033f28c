// The module as nginx sees it: its directives, its callbacks, its life. The rest of the folder knows nothing of this
// file; nothing is done here but to call it.
#include "nginx-module/directives.hpp"
#include "nginx-module/nginx/canary.hpp"
#include "nginx-module/nginx/core_conf.hpp"
#include "nginx-module/nginx/ngx.hpp"
#include "nginx-module/status/table.hpp"
#include "nginx-module/webhook/authenticate.hpp"
#include "nginx-module/webhook/logged_request.hpp"
#include "nginx-module/worker/worker.hpp"

namespace runledger::edge {

namespace {

ngx_int_t on_preconfiguration(ngx_conf_t* cf) noexcept {
    if (canary::configuration_fault()) {
        return NGX_OK;
    }
    canary::look_at_requests(*cf);
    return guarded(
        log_of(*cf), "add the variables",
        [cf]() -> ngx_int_t {
            add_variables(*cf);
            return NGX_OK;
        },
        NGX_ERROR);
}

// A phase's handler, which sees the requests of all sites: one that the canary does not know goes on untouched.
template <RequestHandler Handler, ngx_int_t Otherwise, RequestMoment Moment = RequestMoment::any>
ngx_int_t handle_known(ngx_http_request_t* request) noexcept {
    return canary::knows(*request, Moment) ? Handler(request) : Otherwise;
}

void add_handlers(const ngx_conf_t& cf) {
    add_handler(cf, NGX_HTTP_REWRITE_PHASE,
                handle_known<remember_token_rule, NGX_DECLINED, RequestMoment::body_untouched>);
    add_handler(cf, NGX_HTTP_PREACCESS_PHASE, handle_known<note_visit, NGX_DECLINED>);
    add_handler(cf, NGX_HTTP_LOG_PHASE, handle_known<count_outcome, NGX_OK>);
    add_first_log_handler(cf, handle_known<mask_unchecked_token, NGX_OK>);
}

// Without a webhook, a status location or a spool the module costs nothing: no zone, no handler, no courier.
[[nodiscard]] ngx_int_t finish_configuration(ngx_conf_t& cf) {
    auto& main = *static_cast<MainConf*>(ngx_http_conf_get_module_main_conf((&cf), ngx_http_runledger_module));
    if (!check_main_conf(cf, main)) {
        return NGX_ERROR;
    }
    if (!main.first_webhook.empty() || main.has_status) {
        if (const auto fault = canary::find_phase_fault(cf)) {
            static_cast<void>(refuse(cf, "nginx's structures are not those that the module was built with: " + *fault));
            return NGX_ERROR;
        }
        canary::watch_requests(cf, main);
    }
    if (!main.courier.spool.folder.empty() || main.has_status) {
        add_status_zone(cf, main);
    }
    if (!main.first_webhook.empty() && !canary::fault()) {
        add_handlers(cf);
    }
    return NGX_OK;
}

ngx_int_t on_postconfiguration(ngx_conf_t* cf) noexcept {
    if (canary::configuration_fault()) {
        return NGX_OK;
    }
    return guarded(
        log_of(*cf), "finish the configuration", [cf] { return finish_configuration(*cf); }, NGX_ERROR);
}

// In the master, or in nginx -t, when all of the configuration has been read: worker_processes may stand behind http.
ngx_int_t on_init_module(ngx_cycle_t* cycle) noexcept {
    if (canary::configuration_fault()) {
        return NGX_OK;
    }
    const auto* main = static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_runledger_module));
    if (main != nullptr && !main->first_webhook.empty()) {
        guarded_run(log_of(*cycle), "look at the spool's room", [&] { warn_of_crowded_spool(*cycle, *main); });
    }
    return NGX_OK;  // Anything else would end a running master at a reload.
}

// After the fork; cache managers and loaders come here too, and have no use for a courier.
ngx_int_t on_init_process(ngx_cycle_t* cycle) noexcept {
    const bool is_worker = ngx_process == NGX_PROCESS_WORKER || ngx_process == NGX_PROCESS_SINGLE;
    if (!is_worker || canary::configuration_fault()) {
        return NGX_OK;
    }
    const auto* main = static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_runledger_module));
    if (main == nullptr || main->first_webhook.empty()) {
        return NGX_OK;
    }
    if (canary::has_known_events(*cycle)) {
        Worker::start(*cycle, *main);
    } else {
        status_table(*main->status_zone).note_incompatible_nginx();
    }
    return NGX_OK;
}

void on_exit_process(ngx_cycle_t*) noexcept { Worker::end(); }

ngx_http_module_t module_context = {
    nginx_callback(on_preconfiguration),
    nginx_callback(on_postconfiguration),
    nginx_callback(create_main_conf),
    nullptr,  // init_main_conf
    nullptr,  // create_srv_conf
    nullptr,  // merge_srv_conf
    nginx_callback(create_location_conf),
    nginx_callback(merge_location_conf),
};

}  // namespace

}  // namespace runledger::edge

ngx_module_t ngx_http_runledger_module = {
    NGX_MODULE_V1,
    &runledger::edge::module_context,
    runledger::edge::commands,
    NGX_HTTP_MODULE,
    nullptr,  // init_master
    runledger::edge::nginx_callback(runledger::edge::on_init_module),
    runledger::edge::nginx_callback(runledger::edge::on_init_process),
    nullptr,  // init_thread
    nullptr,  // exit_thread
    runledger::edge::nginx_callback(runledger::edge::on_exit_process),
    nullptr,  // exit_master
    NGX_MODULE_V1_PADDING,
};

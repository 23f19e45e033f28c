// The module as nginx sees it: its directives, its callbacks, its life. The rest of the folder knows nothing of this
// file; nothing is done here but to call it.
#include <algorithm>

#include "nginx-module/directives.hpp"
#include "nginx-module/nginx/ngx.hpp"
#include "nginx-module/status/table.hpp"
#include "nginx-module/webhook/authenticate.hpp"
#include "nginx-module/webhook/logged_request.hpp"
#include "nginx-module/worker/worker.hpp"

namespace runledger::edge {

namespace {

ngx_int_t on_preconfiguration(ngx_conf_t* cf) noexcept {
    return guarded(
        cf->log, "add the variables",
        [cf]() -> ngx_int_t {
            add_variables(*cf);
            return NGX_OK;
        },
        NGX_ERROR);
}

// Runs before those that are there already, but in the log phase after them.
void add_handler(ngx_http_phase_t& phase, RequestHandler handler) {
    auto* place = static_cast<ngx_http_handler_pt*>(ngx_array_push(&phase.handlers));
    if (place == nullptr) {
        throw std::bad_alloc{};
    }
    *place = nginx_callback(handler);
}

// Without a webhook, a status location or a spool the module costs nothing: no zone, no handler, no courier.
[[nodiscard]] ngx_int_t finish_configuration(ngx_conf_t& cf) {
    auto& main = *static_cast<MainConf*>(ngx_http_conf_get_module_main_conf((&cf), ngx_http_runledger_module));
    if (!check_main_conf(cf, main)) {
        return NGX_ERROR;
    }
    if (!main.courier.spool.folder.empty() || main.has_status) {
        add_status_zone(cf, main);
    }
    if (main.first_webhook.empty()) {
        return NGX_OK;
    }
    auto& core =
        *static_cast<ngx_http_core_main_conf_t*>(ngx_http_conf_get_module_main_conf((&cf), ngx_http_core_module));
    add_handler(core.phases[NGX_HTTP_REWRITE_PHASE], remember_token_rule);
    add_handler(core.phases[NGX_HTTP_PREACCESS_PHASE], note_visit);
    add_handler(core.phases[NGX_HTTP_LOG_PHASE], count_outcome);
    // Before nginx's own access log, which is there already.
    add_handler(core.phases[NGX_HTTP_LOG_PHASE], mask_unchecked_token);
    const ngx_array_t& logs = core.phases[NGX_HTTP_LOG_PHASE].handlers;
    auto* first = static_cast<ngx_http_handler_pt*>(logs.elts);
    std::rotate(first, first + logs.nelts - 1, first + logs.nelts);
    return NGX_OK;
}

ngx_int_t on_postconfiguration(ngx_conf_t* cf) noexcept {
    return guarded(
        cf->log, "finish the configuration", [cf] { return finish_configuration(*cf); }, NGX_ERROR);
}

// In the master, or in nginx -t, when all of the configuration has been read: worker_processes may stand behind http.
ngx_int_t on_init_module(ngx_cycle_t* cycle) noexcept {
    const auto* main = static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_runledger_module));
    if (main != nullptr && !main->first_webhook.empty()) {
        guarded_run(cycle->log, "look at the spool's room", [&] { warn_of_crowded_spool(*cycle, *main); });
    }
    return NGX_OK;  // Anything else would end a running master at a reload.
}

// After the fork; cache managers and loaders come here too, and have no use for a courier.
ngx_int_t on_init_process(ngx_cycle_t* cycle) noexcept {
    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE) {
        return NGX_OK;
    }
    const auto* main = static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_runledger_module));
    if (main != nullptr && !main->first_webhook.empty()) {
        Worker::start(*cycle, *main);
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

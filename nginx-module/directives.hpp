// The module's directives: their table, and what nginx asks of a module while it reads its configuration.
//
// In the master, or in nginx -t. What a directive says is kept in nginx/conf.hpp's structures.
#pragma once

#include "nginx-module/nginx/conf.hpp"

namespace runledger::edge {

// ngx_module_t's and ngx_http_module_t's parts.
extern ngx_command_t commands[];
void* create_main_conf(ngx_conf_t* cf) noexcept;
void* create_location_conf(ngx_conf_t* cf) noexcept;
char* merge_location_conf(ngx_conf_t* cf, void* parent, void* child) noexcept;

// After the http block has been read: refuses a webhook that has no spool or no daemon.
[[nodiscard]] bool check_main_conf(ngx_conf_t& cf, const MainConf& main);

}  // namespace runledger::edge

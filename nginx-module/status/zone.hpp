// The shared memory zone that holds the status table, made by nginx when it has read its configuration.
//
// A reload hands the table on to the next configuration; a binary upgrade starts a new one, since the new master has
// a zone of its own.
#pragma once

#include "nginx-module/nginx/ngx.hpp"
#include "nginx-module/status/table.hpp"

namespace runledger::edge {

struct MainConf;

// While the configuration is read: asks nginx for the shared zone. Throws std::bad_alloc.
void add_status_zone(ngx_conf_t& cf, MainConf& main);

// Once nginx has made the zone.
[[nodiscard]] StatusTable& status_table(const ngx_shm_zone_t& zone) noexcept;

}  // namespace runledger::edge

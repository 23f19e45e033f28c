// A zone of nginx's shared memory that holds one object of ours, and outlives workers and reloads.
//
// Made in the master, while it reads a configuration.
#pragma once

#include <cstddef>
#include <string_view>

#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

// Called when nginx has made the zone, or has found that of the configuration before: then `previous` is its object.
using InitZone = ngx_int_t (*)(ngx_shm_zone_t* zone, void* previous) noexcept;

// Asks nginx for a zone with room for so many bytes; `data` is what zone_data() gives until set_zone_data(). The name
// is not copied. Throws std::bad_alloc, std::runtime_error where the zone is not what the module's headers have it.
[[nodiscard]] ngx_shm_zone_t& add_shared_zone(ngx_conf_t& cf, std::string_view name, std::size_t bytes, InitZone init,
                                              void* data);

[[nodiscard]] const ngx_log_t* log_of(const ngx_shm_zone_t& zone) noexcept;
[[nodiscard]] void* zone_data(const ngx_shm_zone_t& zone) noexcept;
void set_zone_data(ngx_shm_zone_t& zone, void* data) noexcept;
// Zeroed memory in the zone; nullptr where there is not so much.
[[nodiscard]] void* allocate_in(const ngx_shm_zone_t& zone, std::size_t bytes) noexcept;

}  // namespace runledger::edge

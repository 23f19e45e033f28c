#include "nginx-module/nginx/shared_zone.hpp"

#include <stdexcept>

#include "nginx-module/nginx/canary.hpp"

namespace runledger::edge {

ngx_shm_zone_t& add_shared_zone(ngx_conf_t& cf, std::string_view name, std::size_t bytes, InitZone init, void* data) {
    ngx_str_t zone_name = borrow(name);
    const std::size_t size = ngx_align(bytes, ngx_pagesize) + 16 * ngx_pagesize;  // The slab's own part.
    ngx_shm_zone_t* zone = ngx_shared_memory_add(&cf, &zone_name, size, &ngx_http_runledger_module);
    if (zone == nullptr) {
        throw std::bad_alloc{};
    }
    if (const auto fault = canary::find_zone_fault(*zone, size)) {
        throw std::runtime_error("nginx's structures are not those that the module was built with: " + *fault);
    }
    zone->init = nginx_callback(init);
    zone->data = data;
    return *zone;
}

const ngx_log_t* log_of(const ngx_shm_zone_t& zone) noexcept { return zone.shm.log; }

void* zone_data(const ngx_shm_zone_t& zone) noexcept { return zone.data; }

void set_zone_data(ngx_shm_zone_t& zone, void* data) noexcept { zone.data = data; }

void* allocate_in(const ngx_shm_zone_t& zone, std::size_t bytes) noexcept {
    // NOLINTNEXTLINE: nginx puts its pool at the zone's start.
    return ngx_slab_calloc(reinterpret_cast<ngx_slab_pool_t*>(zone.shm.addr), bytes);
}

}  // namespace runledger::edge

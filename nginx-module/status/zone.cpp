#include "nginx-module/status/zone.hpp"

#include "nginx-module/nginx/conf.hpp"

namespace runledger::edge {

namespace {

// So that a token that was never used shows as just that.
void add_tokens(StatusTable& table, const MainConf& main) noexcept {
    for (const std::string& name : main.token_names) {
        table.add_token(name);
    }
}

ngx_int_t init_status_zone(ngx_shm_zone_t* zone, void* previous) noexcept {
    const ngx_log_t* log = zone->shm.log;
    return guarded(
        log, "prepare the status zone",
        [&]() -> ngx_int_t {
            const auto& main = *static_cast<MainConf*>(zone->data);
            // The last moment at which a configuration can be refused, and the first at which nginx knows the
            // worker's user, whatever the order of directives.
            if (!main.spool_dir.empty() && !check_spool_folder(main, log)) {
                return NGX_ERROR;
            }
            if (previous != nullptr) {  // A reload: the counters go on.
                zone->data = previous;
                add_tokens(*static_cast<StatusTable*>(previous), main);
                return NGX_OK;
            }
            // NOLINTNEXTLINE: nginx puts its pool at the zone's start.
            auto* pool = reinterpret_cast<ngx_slab_pool_t*>(zone->shm.addr);
            void* memory = ngx_slab_calloc(pool, sizeof(StatusTable));
            if (memory == nullptr) {
                return NGX_ERROR;
            }
            auto* table = new (memory) StatusTable{};
            table->start(ngx_time());
            add_tokens(*table, main);
            zone->data = table;
            return NGX_OK;
        },
        NGX_ERROR);
}

}  // namespace

void add_status_zone(ngx_conf_t& cf, MainConf& main) {
    ngx_str_t name = ngx_string("runledger_status");
    const std::size_t size = ngx_align(sizeof(StatusTable), ngx_pagesize) + 16 * ngx_pagesize;  // The slab's own part.
    ngx_shm_zone_t* zone = ngx_shared_memory_add(&cf, &name, size, &ngx_http_runledger_module);
    if (zone == nullptr) {
        throw std::bad_alloc{};
    }
    zone->init = init_status_zone;
    zone->data = &main;
    main.status_zone = zone;
}

StatusTable& status_table(const ngx_shm_zone_t& zone) noexcept { return *static_cast<StatusTable*>(zone.data); }

}  // namespace runledger::edge

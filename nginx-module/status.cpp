#include "nginx-module/status.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>

#include "nginx-module/conf.hpp"

namespace runledger::edge {

namespace {

struct CounterMetric {
    std::string_view name;
    std::string_view help;
    std::uint64_t CourierStats::*value;
};

constexpr std::array<CounterMetric, courier_counters> counter_metrics{{
    {"events_committed_total", "Events put on stable storage.", &CourierStats::events_committed},
    {"batches_committed_total", "Batches put on stable storage, each with one sync.", &CourierStats::batches_committed},
    {"commit_failures_total", "Commits that failed and are tried again while their requests are held.",
     &CourierStats::commit_failures},
    {"batches_sent_total", "Batches sent to a daemon, copies included.", &CourierStats::batches_sent},
    {"batches_resent_total", "Batches sent again.", &CourierStats::batches_resent},
    {"batches_acked_total", "Batches that a daemon has committed to the ledger.", &CourierStats::batches_acked},
    {"busy_answers_total", "Answers by which a daemon asked for patience.", &CourierStats::busy_answers},
    {"refused_answers_total", "Answers by which a daemon refused a batch.", &CourierStats::refused_answers},
    {"unknown_answers_total", "Answers that could not be understood, or that nobody waited for.",
     &CourierStats::unknown_answers},
    {"segments_adopted_total", "Segments taken over from a worker that has ended.", &CourierStats::segments_adopted},
    {"segments_unlinked_total", "Segments whose batches are all in the ledger, removed.",
     &CourierStats::segments_unlinked},
}};

// How a gauge of several workers becomes one: what each has of its own is added; what all see alike is not.
enum class Across : std::uint8_t { sum, largest };

struct GaugeMetric {
    std::string_view name;
    std::string_view help;
    Across across;
    std::uint64_t (*value)(const CourierStats&);
};

constexpr std::array<GaugeMetric, courier_gauges> gauge_metrics{{
    {"held_events", "Events whose requests wait for stable storage.", Across::sum,
     [](const CourierStats& stats) { return stats.held_events; }},
    {"spool_batches", "Batches in the spool that no daemon has committed yet.", Across::sum,
     [](const CourierStats& stats) { return stats.spool_batches; }},
    {"spool_bytes", "Bytes allocated in the spool's folder.", Across::largest,
     [](const CourierStats& stats) { return stats.spool_bytes; }},
    {"window_bytes", "Bytes sent and not answered yet.", Across::sum,
     [](const CourierStats& stats) { return stats.window_bytes; }},
    {"oldest_unacked_seconds", "Age of the oldest batch that no daemon has committed yet.", Across::largest,
     [](const CourierStats& stats) { return stats.oldest_unacked_seconds; }},
    {"links_up", "Workers whose link to a daemon is up.", Across::sum,
     [](const CourierStats& stats) { return stats.link_up ? std::uint64_t{1} : std::uint64_t{0}; }},
}};

constexpr ngx_msec_t slot_lifetime = 10'000;

// This process's slot, and how much of its counters the table has already: private to each process.
struct OwnPart {
    std::size_t slot{};
    CourierStats published;
};
OwnPart own;

class PrometheusText {
public:
    void open_family(std::string_view name, std::string_view help, std::string_view type) {
        text_.append("# HELP runledger_edge_").append(name).append(" ").append(help);
        text_.append("\n# TYPE runledger_edge_").append(name).append(" ").append(type).append("\n");
    }

    // Precondition: `labels` is empty or complete with its braces.
    void add_sample(std::string_view name, std::string_view labels, std::uint64_t value) {
        text_.append("runledger_edge_").append(name).append(labels).append(" ");
        text_.append(std::to_string(value)).append("\n");
    }

    void add_metric(std::string_view name, std::string_view help, std::string_view type, std::uint64_t value) {
        open_family(name, help, type);
        add_sample(name, "", value);
    }

    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    std::string text_;
};

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
                return NGX_OK;
            }
            // NOLINTNEXTLINE: nginx puts its pool at the zone's start.
            auto* pool = reinterpret_cast<ngx_slab_pool_t*>(zone->shm.addr);
            void* memory = ngx_slab_calloc(pool, sizeof(StatusTable));
            if (memory == nullptr) {
                return NGX_ERROR;
            }
            zone->data = new (memory) StatusTable{};
            return NGX_OK;
        },
        NGX_ERROR);
}

[[nodiscard]] ngx_int_t send_status(ngx_http_request_t& request) {
    if ((request.method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0) {
        return NGX_HTTP_NOT_ALLOWED;
    }
    const MainConf& main = main_conf(request);
    const auto& text = make_in_pool<std::string>(*request.pool, status_table(*main.status_zone).to_prometheus(main));
    ngx_http_complex_value_t body{};
    body.value = borrow(text);
    ngx_str_t type = ngx_string("text/plain; version=0.0.4; charset=utf-8");
    return ngx_http_send_response(&request, NGX_HTTP_OK, &type, &body);
}

}  // namespace

void StatusTable::count(Outcome outcome) noexcept {
    outcomes_[static_cast<std::size_t>(outcome)].fetch_add(1, std::memory_order_relaxed);
}

bool StatusTable::is_alive(const Slot& slot) noexcept {
    return slot.pid.load(std::memory_order_acquire) != 0 &&
           ngx_current_msec - slot.written_at.load(std::memory_order_relaxed) < slot_lifetime;
}

void StatusTable::free_slots_of_the_dead() noexcept {
    for (Slot& slot : slots_) {
        std::int64_t owner = slot.pid.load(std::memory_order_acquire);
        if (owner != 0 && kill(static_cast<pid_t>(owner), 0) == -1 && errno == ESRCH) {
            slot.pid.compare_exchange_strong(owner, 0, std::memory_order_acq_rel);
        }
    }
}

StatusTable::Slot* StatusTable::claim_slot() noexcept {
    const std::int64_t pid = ngx_pid;
    if (slots_[own.slot].pid.load(std::memory_order_acquire) == pid) {
        return &slots_[own.slot];
    }
    free_slots_of_the_dead();
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        std::int64_t owner = slots_[i].pid.load(std::memory_order_acquire);
        if ((owner == 0 || !is_alive(slots_[i])) &&
            slots_[i].pid.compare_exchange_strong(owner, pid, std::memory_order_acq_rel)) {
            own.slot = i;
            return &slots_[i];
        }
    }
    return nullptr;  // More workers than slots: this one's gauges are not shown, its counters are.
}

void StatusTable::publish(const CourierStats& stats) noexcept {
    for (std::size_t i = 0; i < counter_metrics.size(); ++i) {
        const auto value = counter_metrics[i].value;
        counters_[i].fetch_add(stats.*value - own.published.*value, std::memory_order_relaxed);
    }
    own.published = stats;
    Slot* slot = claim_slot();
    if (slot == nullptr) {
        return;
    }
    for (std::size_t i = 0; i < gauge_metrics.size(); ++i) {
        slot->gauges[i].store(gauge_metrics[i].value(stats), std::memory_order_relaxed);
    }
    slot->written_at.store(ngx_current_msec, std::memory_order_relaxed);
}

void StatusTable::leave() noexcept {
    std::int64_t pid = ngx_pid;
    slots_[own.slot].pid.compare_exchange_strong(pid, 0, std::memory_order_acq_rel);
}

std::string StatusTable::to_prometheus(const MainConf& main) const {
    PrometheusText text;
    text.open_family("requests_total", "Requests to webhook locations, by what became of them.", "counter");
    for (std::size_t i = 1; i < outcome_words.size(); ++i) {  // 0 is Outcome::none, which no ended request has.
        text.add_sample("requests_total", "{outcome=\"" + std::string{outcome_words[i]} + "\"}",
                        outcomes_[i].load(std::memory_order_relaxed));
    }
    for (std::size_t i = 0; i < counter_metrics.size(); ++i) {
        text.add_metric(counter_metrics[i].name, counter_metrics[i].help, "counter",
                        counters_[i].load(std::memory_order_relaxed));
    }
    for (std::size_t i = 0; i < gauge_metrics.size(); ++i) {
        std::uint64_t total = 0;
        for (const Slot& slot : slots_) {
            if (is_alive(slot)) {
                const std::uint64_t value = slot.gauges[i].load(std::memory_order_relaxed);
                total = gauge_metrics[i].across == Across::sum ? total + value : std::max(total, value);
            }
        }
        text.add_metric(gauge_metrics[i].name, gauge_metrics[i].help, "gauge", total);
    }
    text.add_metric("spool_bytes_max", "The bound on spool_bytes, from max_size.", "gauge", main.spool_bytes_max);
    text.add_metric("workers", "Workers that have a courier.", "gauge",
                    static_cast<std::uint64_t>(std::ranges::count_if(slots_, is_alive)));
    return text.take();
}

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

ngx_int_t on_status(ngx_http_request_t* request) noexcept {
    return guarded(
        request->connection->log, "show the status", [&] { return send_status(*request); },
        NGX_HTTP_INTERNAL_SERVER_ERROR);
}

}  // namespace runledger::edge

// The numbers of all workers, in shared memory.
//
// Counters are atomic; every worker adds to them, and they outlive workers and reloads. Each worker has a slot for its
// gauges, which it writes every second. A slot no longer counts when its worker is gone, or has not written it for ten
// seconds. Each number is read by itself: together they are not a snapshot. Event-loop threads only.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "nginx-module/nginx/ngx.hpp"
#include "nginx-module/status/figures.hpp"
#include "nginx-module/status/request_outcome.hpp"

namespace runledger::edge {

struct MainConf;

// Lives in shared memory, zeroed when made: no pointer, nothing that a constructor would be needed for.
class StatusTable {
public:
    // In the master, once, before any worker can see it.
    void start(time_t now) noexcept;

    void count(RequestOutcome outcome) noexcept;
    // An index of nginx_causes.
    void count_refusal_by_nginx(std::size_t cause) noexcept;
    // For each accepted event. Precondition: not negative.
    void count_commit(std::chrono::microseconds duration) noexcept;

    // Before tokens of that name are counted, in the master only, which may do so while workers count: gives the name
    // a place that it keeps, unless it has one or there is none left.
    void add_token(std::string_view name) noexcept;
    // A request with a right token of that name, whatever its outcome.
    void count_token(std::string_view name, time_t now, bool is_accepted) noexcept;

    // nginx's structures are not those that the module was built with. For as long as the table lives, which is as long
    // as nginx's master does: no reload changes nginx or the module.
    void note_incompatible_nginx() noexcept;

    // From a worker's housekeeping: adds what its counters have gained and sets its gauges.
    void publish(const CourierFigures& figures) noexcept;
    // The worker ends: its gauges no longer count.
    void leave() noexcept;

    // Throws std::bad_alloc.
    [[nodiscard]] StatusFigures read() const;

private:
    using Cell = std::atomic<std::uint64_t>;
    static_assert(Cell::is_always_lock_free, "a lock would not work between processes");

    static constexpr std::size_t slots_max = 256;

    static constexpr std::size_t token_places = 256;
    static constexpr std::size_t token_name_bytes_max = 64;

    struct Token {
        std::array<char, token_name_bytes_max> name;  // Written once, before the place is counted as taken.
        std::size_t name_bytes;
        Cell accepted;
        Cell last_use;

        [[nodiscard]] std::string_view view() const noexcept { return {name.data(), name_bytes}; }
    };

    struct Slot {
        std::atomic<std::int64_t> pid;  // 0: free.
        Cell written_at;                // ngx_current_msec, which is monotonic and the same in all processes.
        std::array<Cell, courier_figures.size()> gauges;  // Those of counters stay 0.
    };

    // The place of the name, or token_places.
    [[nodiscard]] std::size_t find_token(std::string_view name) const noexcept;
    [[nodiscard]] static bool is_alive(const Slot& slot) noexcept;
    [[nodiscard]] Slot* claim_slot() noexcept;

    Cell started_at_;
    Cell is_incompatible_;
    std::array<Cell, outcome_words.size()> outcomes_;
    std::array<Cell, nginx_causes.size()> refusals_by_nginx_;
    std::array<Cell, courier_figures.size()> counters_;  // Those of gauges stay 0.
    std::array<Cell, commit_buckets.size() + 1> commits_;
    Cell commit_microseconds_;
    std::atomic<std::size_t> tokens_taken_;
    std::array<Token, token_places + 1> tokens_;  // The last is for all that have no place.
    std::array<Slot, slots_max> slots_;
};

// While the configuration is read: asks nginx for the shared zone that holds the table. A reload hands the table on to
// the next configuration; a binary upgrade starts a new one, since the new master has a zone of its own. Throws
// std::bad_alloc.
void add_status_zone(ngx_conf_t& cf, MainConf& main);

// Once nginx has made the zone.
[[nodiscard]] StatusTable& status_table(const ngx_shm_zone_t& zone) noexcept;

}  // namespace runledger::edge

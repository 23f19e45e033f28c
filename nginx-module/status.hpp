// What all workers have done, in shared memory, and the location that shows it as Prometheus text.
//
// Counters are atomic, are added to by every worker and outlive workers and reloads. Gauges stand in a slot for each
// worker, which writes it every second; the slot of a worker that was killed is freed by the next worker that starts,
// or counts no more when it has not been written for ten seconds.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "nginx-module/courier.hpp"
#include "nginx-module/ngx.hpp"
#include "nginx-module/outcome.hpp"

namespace runledger::edge {

struct MainConf;

// The courier's counters and gauges, as the table keeps them; status.cpp says how each is called and read.
inline constexpr std::size_t courier_counters = 11;
inline constexpr std::size_t courier_gauges = 6;

// Lives in shared memory, zeroed when made: no pointer, nothing that a constructor would be needed for.
class StatusTable {
public:
    void count(Outcome outcome) noexcept;

    // From a worker's housekeeping: adds what its counters have gained and sets its gauges.
    void publish(const CourierStats& stats) noexcept;
    // The worker ends: its gauges count no more.
    void leave() noexcept;

    // In the text format 0.0.4.
    [[nodiscard]] std::string to_prometheus(const MainConf& main) const;

private:
    using Cell = std::atomic<std::uint64_t>;
    static_assert(Cell::is_always_lock_free, "a lock would not work between processes");

    static constexpr std::size_t slots_max = 256;

    struct Slot {
        std::atomic<std::int64_t> pid;  // 0: free.
        Cell written_at;                // ngx_current_msec, which is monotonic and the same in all processes.
        std::array<Cell, courier_gauges> gauges;
    };

    [[nodiscard]] static bool is_alive(const Slot& slot) noexcept;
    void free_slots_of_the_dead() noexcept;
    [[nodiscard]] Slot* claim_slot() noexcept;

    std::array<Cell, outcome_words.size()> outcomes_;
    std::array<Cell, courier_counters> counters_;
    std::array<Slot, slots_max> slots_;
};

// While the configuration is read: asks nginx for the shared zone. Throws std::bad_alloc.
void add_status_zone(ngx_conf_t& cf, MainConf& main);

// Once nginx has made the zone.
[[nodiscard]] StatusTable& status_table(const ngx_shm_zone_t& zone) noexcept;

// The content handler of runledger_status.
ngx_int_t on_status(ngx_http_request_t* request) noexcept;

}  // namespace runledger::edge

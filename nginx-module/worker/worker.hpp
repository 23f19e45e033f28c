// What one nginx worker process has of ours: its courier, the eventfd by which the courier wakes the event loop,
// and who waits for which event.
//
// Made in init_process, after the fork, in worker and single processes that serve a webhook; ended in exit_process.
// Event-loop thread only. Knows nothing of HTTP.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "nginx-module/courier/courier.hpp"
#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/event_loop.hpp"
#include "nginx-module/nginx/ngx.hpp"
#include "nginx-module/nginx/timer.hpp"
#include "nginx-module/refused/keeper.hpp"
#include "nginx-module/status/table.hpp"

namespace runledger::edge {

// The receiver's suspended request, which waits for the courier's result.
class Waiter {
public:
    // The courier has posted the event back. Called once, from the event loop, after the waiter is forgotten.
    virtual void on_result(const HeldEventPtr& event) noexcept = 0;

protected:
    Waiter() = default;
    Waiter(const Waiter&) = default;
    Waiter& operator=(const Waiter&) = default;
    ~Waiter() = default;
};

class Worker {
public:
    // Nothing where this process has none: a helper process, no webhook location, or a start that failed.
    [[nodiscard]] static Worker* current() noexcept { return current_; }

    // A failed start is logged and tried again every second, and the process goes on meanwhile: other sites must not
    // suffer. Until then webhooks get 503. If only the courier's thread can't be started, they are held.
    static void start(ngx_cycle_t& cycle, const MainConf& main) noexcept;
    // Commits what the courier still has, within a bound.
    static void end() noexcept;

    Worker(ngx_cycle_t& cycle, const MainConf& main);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker();

    // An event to fill; one that was used before, if there is one. Throws std::bad_alloc.
    [[nodiscard]] HeldEventPtr make_event();

    // Hands the event to the courier and remembers who waits. False, and nothing taken, when over a bound: the
    // courier's, or where held requests would leave other sites hardly a connection.
    [[nodiscard]] bool hold(const HeldEventPtr& event, Waiter& waiter);

    // Who keeps refused bodies; nullptr without runledger_refused.
    [[nodiscard]] Keeper* keeper() noexcept { return keeper_ ? &*keeper_ : nullptr; }

    // The waiter is not called any more.
    static void forget(HeldEvent& event) noexcept;

private:
    static void start_later(ngx_cycle_t& cycle, const MainConf& main) noexcept;
    [[nodiscard]] bool starves_other_sites() const noexcept;
    void keep_house();
    void start_courier();
    void start_keeper();
    void on_wake();
    void keep_spare(HeldEventPtr event) noexcept;
    void write_log_lines();
    void publish_status();

    static inline Worker* current_{nullptr};

    StatusTable* status_table_;  // In shared memory.
    Courier courier_;
    bool has_courier_thread_{false};
    bool is_courier_missed_{false};  // It was said that there is no thread for it.
    std::optional<Keeper> keeper_;
    bool has_keeper_thread_{false};
    bool is_keeper_missed_{false};  // As above.
    WatchedDescriptor wake_;        // Goes before the courier, which closes the descriptor.
    Timer housekeeping_;
    std::size_t waiters_{0};
    std::deque<HeldEventPtr> results_;        // Posted back by the courier, not yet told to their waiters.
    std::vector<HeldEventPtr> spare_events_;  // Nobody else's, and renewed.
};

}  // namespace runledger::edge

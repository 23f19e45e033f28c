// What a worker asks of nginx's event loop: to watch a descriptor, and how many connections there are.
//
// Event-loop thread only.
#pragma once

#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

[[nodiscard]] inline ngx_log_t* log_of(const ngx_cycle_t& cycle) noexcept { return cycle.log; }
// The log of the configuration that this process works with.
[[nodiscard]] inline ngx_log_t* current_log() noexcept { return const_cast<ngx_cycle_t*>(ngx_cycle)->log; }

// The worker ends when its last connection closes.
[[nodiscard]] inline bool is_draining() noexcept { return ngx_exiting != 0; }

// Half of the worker's connections are `held`, and hardly one of the others is free.
[[nodiscard]] inline bool has_few_connections_beside(ngx_uint_t held) noexcept {
    const ngx_uint_t connections = ngx_cycle->connection_n;
    return held >= connections / 2 && ngx_cycle->free_connection_n < connections / 8;
}

// Of the worker's connections, three quarters are in use: the rest is for others than slow strangers.
[[nodiscard]] inline bool is_last_quarter_of_connections() noexcept {
    return ngx_cycle->free_connection_n < ngx_cycle->connection_n / 4;
}

// Watches a descriptor that is not nginx's, level-triggered: nothing is lost by a partial read. It takes one of nginx's
// connections. The descriptor is not closed.
class WatchedDescriptor {
public:
    // Throws std::runtime_error where no connection is free, or the descriptor can't be watched.
    WatchedDescriptor(int descriptor, ngx_log_t* log, void (*call)(void* data) noexcept, void* data);
    WatchedDescriptor(const WatchedDescriptor&) = delete;
    WatchedDescriptor& operator=(const WatchedDescriptor&) = delete;
    ~WatchedDescriptor();

    // In the loop's next turn, after its other events.
    void call_again() noexcept;

private:
    void (*call_)(void* data) noexcept;
    void* data_;
    ngx_connection_t* connection_;
};

}  // namespace runledger::edge

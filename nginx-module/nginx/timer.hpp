// A timer of nginx's that calls one of our objects. Event-loop thread only.
#pragma once

#include <cstdint>

#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

// Whether a worker that drains waits for the timer.
enum class WhileDraining : std::uint8_t { is_waited_for, is_dropped };

// nginx knows it from set() until it has called or cancel() is called: it must not move or go away in between.
class Timer {
public:
    Timer(ngx_log_t* log, WhileDraining draining, void (*call)(void* data) noexcept, void* data) noexcept
        : call_{call}, data_{data} {
        owner_.fd = static_cast<ngx_socket_t>(-1);
        owner_.data = this;
        event_.data = &owner_;
        event_.log = log;
        event_.cancelable = draining == WhileDraining::is_dropped ? 1 : 0;
        event_.handler = nginx_callback(+[](ngx_event_t* event) noexcept {
            const auto& timer = *static_cast<Timer*>(static_cast<ngx_connection_t*>(event->data)->data);
            timer.call_(timer.data_);
        });
    }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() = default;

    void set(ngx_msec_t after) noexcept { ngx_add_timer(&event_, after); }
    void cancel() noexcept {
        if (event_.timer_set != 0) {
            ngx_del_timer(&event_);
        }
    }

private:
    void (*call_)(void* data) noexcept;
    void* data_;
    ngx_connection_t owner_{};  // What nginx's debug log looks at when it names a timer.
    ngx_event_t event_{};
};

}  // namespace runledger::edge

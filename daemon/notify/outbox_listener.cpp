#include "daemon/notify/outbox_listener.hpp"

#include <poll.h>
#include <spdlog/spdlog.h>

#include <array>
#include <utility>

#include "daemon/base/backoff.hpp"
#include "daemon/base/stage.hpp"
#include "daemon/database/listener.hpp"

namespace runledger {
namespace {

constexpr std::string_view outbox_channel = "runledger_outbox";  // As queue_endings() and queue_notification() say it.
constexpr int look_again_milliseconds = 30'000;                  // Where there is no descriptor to wait on for the end.

}  // namespace

OutboxListener::OutboxListener(std::string direct_uri, Wakeup& outbox, std::function<bool(int backend)> is_told,
                               Wakeup* also)
    : database_(std::move(direct_uri), "listen"),
      outbox_(outbox),
      is_told_(std::move(is_told)),
      also_(also),
      thread_([this] { run(); }) {}

OutboxListener::~OutboxListener() {
    stop_.stop();
    thread_.join();
}

void OutboxListener::run() noexcept {
    name_this_thread("listen");
    try {
        Backoff backoff({.delay_min = std::chrono::milliseconds{100}, .delay_max = std::chrono::seconds{30}});
        bool is_lost = false;
        while (!stop_.is_stopped()) {
            try {
                if (std::exchange(is_lost, false)) {
                    wake_all();  // For what was not heard meanwhile.
                }
                listen();
            } catch (const PoolerInTheWay& error) {
                spdlog::warn("LISTEN is not possible, the outbox is polled instead error=\"{}\"", error.what());
                database_.disconnect();
                while (!stop_.is_stopped()) {
                    (void)stop_.pause(std::chrono::hours{1});  // What is configured stays so.
                }
            } catch (const std::exception& error) {
                is_lost = true;
                if (!database_.give_up(error)) {
                    spdlog::warn("LISTEN failed, the outbox is polled instead error=\"{}\"", error.what());
                }
                (void)stop_.pause(backoff.next());  // The loop asks whether to go on.
            }
        }
    } catch (...) {
        // Even the log refuses. The stage polls.
    }
    database_.disconnect();
}

void OutboxListener::wake_all() {
    outbox_.notify();
    if (also_ != nullptr) {
        also_->notify();
    }
}

// Until it is stopped; throws when the connection is lost.
void OutboxListener::listen() {
    ChannelListener listener(database_, std::string(outbox_channel), [this](int backend) {
        if (!is_told_ || !is_told_(backend)) {
            outbox_.notify();
        }
        if (also_ != nullptr) {
            also_->notify();
        }
    });
    wake_all();  // For what came before it.
    while (!stop_.is_stopped()) {
        std::array<pollfd, 2> waited{{{.fd = listener.socket(), .events = POLLIN, .revents = 0},
                                      {.fd = stop_.descriptor(), .events = POLLIN, .revents = 0}}};
        (void)::poll(waited.data(), waited.size(), look_again_milliseconds);  // EINTR and time-outs: look again.
        listener.take();
    }
}

}  // namespace runledger

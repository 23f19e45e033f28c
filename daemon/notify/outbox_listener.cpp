#include "daemon/notify/outbox_listener.hpp"

#include <poll.h>
#include <spdlog/spdlog.h>

#include <array>
#include <utility>

#include "daemon/base/backoff.hpp"

namespace runledger {
namespace {

constexpr std::string_view outbox_channel = "runledger_outbox";  // As settle_new() and queue_notification() say it.
constexpr int look_again_milliseconds = 30'000;                  // Where there is no descriptor to wait on for the end.

class Receiver : public pqxx::notification_receiver {
public:
    Receiver(pqxx::connection& connection, Wakeup& outbox, const std::function<bool(int)>& is_told)
        : pqxx::notification_receiver(connection, std::string(outbox_channel)), outbox_(outbox), is_told_(is_told) {}

    void operator()(const std::string& /*payload*/, int backend) override {
        if (!is_told_ || !is_told_(backend)) {
            outbox_.notify();
        }
    }

private:
    Wakeup& outbox_;
    const std::function<bool(int)>& is_told_;
};

}  // namespace

OutboxListener::OutboxListener(std::string direct_uri, Wakeup& outbox, std::function<bool(int backend)> is_told)
    : database_(std::move(direct_uri), "listen"),
      outbox_(outbox),
      is_told_(std::move(is_told)),
      thread_([this] { run(); }) {}

OutboxListener::~OutboxListener() {
    stop_.stop();
    thread_.join();
}

void OutboxListener::run() noexcept {
    try {
        Backoff backoff({.delay_min = std::chrono::milliseconds{100}, .delay_max = std::chrono::seconds{30}});
        bool is_lost = false;
        while (!stop_.is_stopped()) {
            try {
                if (std::exchange(is_lost, false)) {
                    outbox_.notify();  // For what was not heard meanwhile.
                }
                listen();
            } catch (const std::exception& error) {
                is_lost = true;
                spdlog::warn("LISTEN failed, the outbox is polled instead error=\"{}\"", error.what());
                database_.disconnect();
                (void)stop_.pause(backoff.next());  // The loop asks whether to go on.
            }
        }
    } catch (...) {
        // Even the log refuses. The stage polls.
    }
    database_.disconnect();
}

// Until it is stopped; throws when the connection is lost.
void OutboxListener::listen() {
    pqxx::connection& connection = database_.connection();
    Receiver receiver(connection, outbox_, is_told_);  // Says LISTEN.
    outbox_.notify();                                  // For what came before it.
    while (!stop_.is_stopped()) {
        wait(connection);
        connection.get_notifs();
    }
}

void OutboxListener::wait(pqxx::connection& connection) {
    std::array<pollfd, 2> waited{{{.fd = connection.sock(), .events = POLLIN, .revents = 0},
                                  {.fd = stop_.descriptor(), .events = POLLIN, .revents = 0}}};
    if (waited[0].fd < 0) {
        throw pqxx::broken_connection("the connection is gone");
    }
    (void)::poll(waited.data(), waited.size(), look_again_milliseconds);  // EINTR and time-outs: look again.
}

}  // namespace runledger

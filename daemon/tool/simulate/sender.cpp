#include "daemon/tool/simulate/sender.hpp"

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

namespace runledger::tool {
namespace {

constexpr std::chrono::seconds try_timeout{20};
constexpr std::array<std::chrono::milliseconds, 2> delays{std::chrono::milliseconds{500},
                                                          std::chrono::milliseconds{1000}};
constexpr std::size_t open_max = 64;
constexpr std::size_t answer_bytes_max = 64 * 1024;

HttpClient::Options as_the_sender() {
    HttpClient::Options options;
    options.timeout = try_timeout;
    options.connections = HttpClient::Connections::fresh;
    options.is_path_as_is = true;
    options.headers = {"Accept: */*", "User-Agent: Python/3.11 aiohttp/3.9.5"};
    return options;
}

}  // namespace

SimulatedSender::SimulatedSender(std::string url) : url_(std::move(url)), client_(as_the_sender()) {}

void SimulatedSender::deliver(const std::vector<SimulatedEvent*>& events) {
    std::vector<SimulatedEvent*> left = events;
    for (std::size_t attempt = 0; !left.empty(); ++attempt) {
        try_once(left);
        std::erase_if(left, [](const SimulatedEvent* event) { return event->is_accepted(); });
        if (left.empty() || attempt == delays.size()) {
            return;
        }
        std::this_thread::sleep_for(delays[attempt]);  // The sender's own pauses.
    }
}

void SimulatedSender::try_once(const std::vector<SimulatedEvent*>& events) {
    using Clock = std::chrono::steady_clock;
    std::vector<Clock::time_point> begun(events.size());
    std::size_t next = 0;
    while (next < events.size() || client_.in_flight() > 0) {
        for (; next < events.size() && client_.in_flight() < open_max; ++next) {
            SimulatedEvent& event = *events[next];
            begun[next] = Clock::now();
            client_.begin(
                {.ticket = static_cast<HttpTicket>(next),
                 .url = url_,
                 .content = HttpRequest::PostJson{.body = event.body, .is_called_get = event.is_get || event.tries > 0},
                 .response_bytes_max = answer_bytes_max});
            ++event.tries;
        }
        for (auto& [ticket, response] : client_.drive(try_timeout)) {
            SimulatedEvent& event = *events[static_cast<std::size_t>(ticket)];
            event.status = response.status;
            event.error = response.why;
            event.took =
                std::chrono::ceil<std::chrono::milliseconds>(Clock::now() - begun[static_cast<std::size_t>(ticket)]);
        }
    }
}

}  // namespace runledger::tool

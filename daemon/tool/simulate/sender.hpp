// Delivers made-up events to an edge as ComfyDeploy does (docs/sender.md, "Delivery"): a new connection for each, 20 s
// for a try, three tries, 0.5 s and 1 s apart, the second and third as GET with the same body.
//
// One thread. What it says names no URL.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "daemon/net/http_client.hpp"

namespace runledger::tool {

struct SimulatedEvent {
    std::size_t run{};  // Index of the run.
    std::string body;
    bool is_get{false};  // Sent as the sender's second try at once, since some proxies drop the body of a GET.

    // What became of it.
    int tries{0};
    long status{0};       // Of the last answer; 0: none.
    std::string error{};  // Why there was none.
    std::chrono::milliseconds took{0};

    [[nodiscard]] bool is_accepted() const noexcept { return status >= 200 && status < 300; }
};

class SimulatedSender {
public:
    // Throws std::runtime_error if libcurl can't be set up. `url` is the whole one, with its token.
    explicit SimulatedSender(std::string url);

    // Returns when each of the events was accepted, or refused three times.
    void deliver(const std::vector<SimulatedEvent*>& events);

private:
    void try_once(const std::vector<SimulatedEvent*>& events);

    std::string url_;
    HttpClient client_;
};

}  // namespace runledger::tool

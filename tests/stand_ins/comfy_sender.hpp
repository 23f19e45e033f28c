// Delivers planned events as ComfyDeploy does (docs/sender.md, "Delivery"): a new connection for every event, 20 s for
// a try, three tries, 0.5 s and 1 s apart, on a status >= 400 or a failed connection, the second and third as GET with
// the same body; and then the event is gone. Redirects are not followed.
//
// Invariant: every try is recorded with its answer and with both clocks before and after. One thread; the functions
// in the options run on it.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "tests/stand_ins/comfy_run.hpp"

namespace runledger::test {

[[nodiscard]] Stamp stamp_now();

struct Try {
    Stamp before{};
    Stamp after{};
    bool as_get{};
    long status{};        // 0 where no answer came.
    std::string error{};  // libcurl's words then.

    [[nodiscard]] bool accepted() const noexcept { return status >= 200 && status < 300; }
};

struct Delivery {
    std::size_t run{};    // Index into the plans.
    std::size_t event{};  // Index into the run's events.
    std::vector<Try> tries{};

    [[nodiscard]] bool accepted() const noexcept { return !tries.empty() && tries.back().accepted(); }
};

struct SenderOptions {
    std::string url{};            // With its query string, if any: it is sent as it is.
    std::size_t concurrency{64};  // Open requests at once; an event that is due waits beyond it.
    double time_scale{1.0};       // Multiplies the plan's times; 0: as fast as the concurrency lets.
    std::chrono::milliseconds timeout{20'000};
    std::vector<std::chrono::milliseconds> retry_delays{std::chrono::milliseconds{500},
                                                        std::chrono::milliseconds{1'000}};
    bool one_connection_per_event{true};
    std::vector<std::string> headers{};                   // Beside the sender's own.
    std::function<void(const Delivery&)> on_delivered{};  // An event's fate is known: accepted, or gone.
    std::function<bool()> stop{};  // Asked often; true: no event is begun any more, what was tried is seen through.
};

// Returns when every event has met its fate, in the order of the fates. Throws only where libcurl can't work at all.
[[nodiscard]] std::vector<Delivery> send_runs(const std::vector<RunPlan>& runs, const SenderOptions& options);

}  // namespace runledger::test

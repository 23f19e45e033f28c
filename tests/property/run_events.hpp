// Events of one run as rapidcheck draws them: times, boots, bodies and outputs from few values, so that the ties which
// the total orders must settle are common, and with every odd shape that the decoder lets through.
//
// Pure: what is drawn depends on rapidcheck's randomness alone.
#pragma once

#include <rapidcheck.h>

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "daemon/ingest/run_state.hpp"

namespace runledger::test {

// A body and when it came.
struct SentEvent {
    std::string body;
    int second{};
    int boottime{};
    int boot{};
    bool redelivered{false};

    [[nodiscard]] Stamp stamp() const;
    [[nodiscard]] BootId boot_id() const;
};
void showValue(const SentEvent& event, std::ostream& out);

// At least one. `run_id` is the run of all of them.
[[nodiscard]] rc::Gen<std::vector<SentEvent>> some_events(const std::string& run_id);

// What the event says of its run. Its outputs point into `event`'s body, which must stay where it is.
[[nodiscard]] RunState state_of(const SentEvent& event);
[[nodiscard]] RunState fold(const std::vector<SentEvent>& events);

// All that is kept of a state, as text: equal texts, equal rows. Without the names of the events that outputs came
// with, which are no part of a run.
[[nodiscard]] std::string describe(const RunState& state);

}  // namespace runledger::test

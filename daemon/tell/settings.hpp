// [application] of the configuration. docs/settings.md says what each key does.
#pragma once

#include <chrono>

namespace runledger {

struct ApplicationSettings {
    // The least time between two notifications about the progress of one run; 0: none are sent.
    std::chrono::milliseconds progress_interval{0};

    bool operator==(const ApplicationSettings&) const = default;
};

}  // namespace runledger

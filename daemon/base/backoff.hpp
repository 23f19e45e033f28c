// Delays that double with each failure in a row, from a minimum to a maximum, with jitter.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace runledger {

class Backoff {
public:
    struct Bounds {
        std::chrono::milliseconds delay_min{50};
        std::chrono::milliseconds delay_max{2000};
    };

    explicit Backoff(Bounds bounds) : bounds_(bounds), next_(bounds.delay_min) {}

    // The delay after this failure: between half of the current step and all of it.
    [[nodiscard]] std::chrono::milliseconds next() {
        const auto step = next_;
        next_ = std::min(next_ * 2, bounds_.delay_max);
        std::uniform_int_distribution<std::chrono::milliseconds::rep> jitter(step.count() / 2, step.count());
        return std::chrono::milliseconds{jitter(random_)};
    }

    // After a success.
    void reset() { next_ = bounds_.delay_min; }

private:
    Bounds bounds_;
    std::chrono::milliseconds next_;
    std::minstd_rand random_{std::random_device{}()};
};

}  // namespace runledger

// Randomness from a seed, the same on every machine: no std distribution, whose results a library may change.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

namespace runledger::test {

class Dice {
public:
    explicit Dice(std::uint64_t seed) : engine_(seed) {}

    [[nodiscard]] std::size_t below(std::size_t bound) { return static_cast<std::size_t>(engine_() % bound); }
    [[nodiscard]] int between(int low, int high) {
        return low + static_cast<int>(below(static_cast<std::size_t>(high - low) + 1));
    }
    [[nodiscard]] bool chance(double probability) {
        return static_cast<double>(engine_() >> 11U) * 0x1.0p-53 < probability;
    }
    template <class Range>
    [[nodiscard]] const auto& pick(const Range& range) {
        return range[below(range.size())];
    }
    // Version 4, as the sender's are.
    [[nodiscard]] std::string uuid() {
        const std::uint64_t high = engine_();
        const std::uint64_t low = engine_();
        return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", high >> 32U, (high >> 16U) & 0xFFFFU, high & 0xFFFU,
                           0x8000U | ((low >> 48U) & 0x3FFFU), low & 0xFFFFFFFFFFFFU);
    }

private:
    std::mt19937_64 engine_;
};

}  // namespace runledger::test

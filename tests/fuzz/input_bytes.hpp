// A fuzzer's input, read from its front as numbers and runs of bytes: what a structured fuzzer builds its case from.
//
// Never fails: past the end there are zeros, and a run is as long as what is left. A small change of the input is a
// small change of the case, which is what lets libFuzzer learn. Holds no bytes of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace runledger::fuzz {

class InputBytes {
public:
    explicit InputBytes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    [[nodiscard]] bool is_empty() const noexcept { return bytes_.empty(); }
    [[nodiscard]] std::span<const std::uint8_t> take_rest() { return take(bytes_.size()); }

    [[nodiscard]] std::span<const std::uint8_t> take(std::size_t count) {
        const auto taken = bytes_.first(std::min(count, bytes_.size()));
        bytes_ = bytes_.subspan(taken.size());
        return taken;
    }

    template <class Integer>
    [[nodiscard]] Integer take_integer() {
        std::uint64_t bits = 0;
        unsigned shift = 0;
        for (const std::uint8_t byte : take(sizeof(Integer))) {
            bits |= std::uint64_t{byte} << shift;
            shift += 8;
        }
        return static_cast<Integer>(bits);
    }

    // 0 to `max`, which is part of it.
    [[nodiscard]] std::size_t take_up_to(std::size_t max) { return take_integer<std::uint32_t>() % (max + 1); }

    [[nodiscard]] std::string take_text(std::size_t bytes_max) {
        const auto text = take(take_integer<std::uint16_t>() % (bytes_max + 1));
        return {text.begin(), text.end()};
    }

private:
    std::span<const std::uint8_t> bytes_;
};

}  // namespace runledger::fuzz

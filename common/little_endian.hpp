// Whole numbers in the little-endian byte order of the wire format and the segment files. Pure.
//
// Precondition of each: offset + sizeof(Integer) is within the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace runledger {

template <class Integer>
void put(std::span<std::byte> bytes, std::size_t offset, Integer value) {
    auto bits = static_cast<std::uint64_t>(value);
    for (std::size_t i = 0; i < sizeof(Integer); ++i) {
        bytes[offset + i] = static_cast<std::byte>(bits & 0xFFU);
        bits >>= 8U;
    }
}

template <class Integer>
[[nodiscard]] Integer get(std::span<const std::byte> bytes, std::size_t offset) {
    std::uint64_t bits = 0;
    for (std::size_t i = sizeof(Integer); i > 0; --i) {
        bits = (bits << 8U) | static_cast<std::uint64_t>(bytes[offset + i - 1]);
    }
    return static_cast<Integer>(bits);
}

}  // namespace runledger

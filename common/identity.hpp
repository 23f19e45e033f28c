// Random 128-bit names: a spool segment's id, a kernel's boot id.
//
// Pure values: making one from randomness or from /proc is the caller's part.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace runledger {

// Written and read as 32 lower-case hexadecimal digits. The tag keeps a segment's id from passing for a boot's.
template <class Tag>
struct Id128 {
    std::array<std::uint8_t, 16> bytes{};

    friend constexpr auto operator<=>(const Id128&, const Id128&) = default;

    [[nodiscard]] std::string hex() const {
        static constexpr std::string_view digits = "0123456789abcdef";
        std::string text;
        text.reserve(32);
        for (const std::uint8_t byte : bytes) {
            text.push_back(digits[byte >> 4U]);
            text.push_back(digits[byte & 0x0FU]);
        }
        return text;
    }

    // Accepts hyphens at any place, as in a UUID. Nothing unless exactly 32 digits remain.
    [[nodiscard]] static std::optional<Id128> parse(std::string_view text) noexcept {
        Id128 id;
        std::size_t digits = 0;
        for (const char c : text) {
            if (c == '-') {
                continue;
            }
            unsigned value = 0;
            if (c >= '0' && c <= '9') {
                value = static_cast<unsigned>(c - '0');
            } else if (c >= 'a' && c <= 'f') {
                value = static_cast<unsigned>(c - 'a') + 10U;
            } else if (c >= 'A' && c <= 'F') {
                value = static_cast<unsigned>(c - 'A') + 10U;
            } else {
                return std::nullopt;
            }
            if (digits == 32) {
                return std::nullopt;
            }
            std::uint8_t& byte = id.bytes[digits / 2];
            byte = static_cast<std::uint8_t>((static_cast<unsigned>(byte) << 4U) | value);
            ++digits;
        }
        if (digits != 32) {
            return std::nullopt;
        }
        return id;
    }
};

// A segment file of a spool; random, new with each file, never used again.
using SegmentId = Id128<struct SegmentTag>;
// One boot of one kernel, from /proc/sys/kernel/random/boot_id: boottime readings compare only within it.
using BootId = Id128<struct BootTag>;

// Counts from 0 within a segment, without gaps.
using BatchNumber = std::uint64_t;

// The name of a batch. It never changes.
struct BatchName {
    SegmentId segment;
    BatchNumber number{};

    friend constexpr auto operator<=>(const BatchName&, const BatchName&) = default;
};

}  // namespace runledger

template <class Tag>
struct std::hash<runledger::Id128<Tag>> {
    std::size_t operator()(const runledger::Id128<Tag>& id) const noexcept {
        std::size_t value = 0;  // The id is random already: any eight of its bytes are a hash.
        for (std::size_t i = 0; i < sizeof value; ++i) {
            value = (value << 8U) | id.bytes[i];
        }
        return value;
    }
};

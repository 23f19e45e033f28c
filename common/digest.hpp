// Checksums and digests: XXH3, from libxxhash. They find damage and mix-ups, not forgery.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace runledger {

// XXH3 with 128 bits in the canonical (big-endian) form of xxHash's specification.
using Digest128 = std::array<std::uint8_t, 16>;

[[nodiscard]] Digest128 digest128(std::span<const std::byte> bytes) noexcept;

// XXH3 with 64 bits, seed 0.
[[nodiscard]] std::uint64_t checksum64(std::span<const std::byte> bytes) noexcept;

}  // namespace runledger

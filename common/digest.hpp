// Checksums and digests: XXH3, from libxxhash. They find damage and mix-ups, not forgery.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct XXH3_state_s;

namespace runledger {

// XXH3 with 128 bits in the canonical (big-endian) form of xxHash's specification.
using Digest128 = std::array<std::uint8_t, 16>;

[[nodiscard]] Digest128 digest128(std::span<const std::byte> bytes) noexcept;

// The same of bytes that come in pieces.
class RunningDigest128 {
public:
    RunningDigest128();  // Throws std::bad_alloc.
    void add(std::span<const std::byte> bytes) noexcept;
    [[nodiscard]] Digest128 digest() const noexcept;  // Of all so far.

private:
    struct Free {
        void operator()(XXH3_state_s* state) const noexcept;
    };
    std::unique_ptr<XXH3_state_s, Free> state_;
};

// XXH3 with 64 bits, seed 0.
[[nodiscard]] std::uint64_t checksum64(std::span<const std::byte> bytes) noexcept;

}  // namespace runledger

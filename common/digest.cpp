#include "common/digest.hpp"

#include <xxhash.h>

namespace runledger {

Digest128 digest128(std::span<const std::byte> bytes) noexcept {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
    Digest128 digest;
    for (std::size_t i = 0; i < digest.size(); ++i) {
        digest[i] = canonical.digest[i];
    }
    return digest;
}

std::uint64_t checksum64(std::span<const std::byte> bytes) noexcept { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace runledger

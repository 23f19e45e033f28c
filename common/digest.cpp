#include "common/digest.hpp"

#include <xxhash.h>

#include <new>

namespace runledger {
namespace {

Digest128 canonical_of(XXH128_hash_t hash) noexcept {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    Digest128 digest;
    for (std::size_t i = 0; i < digest.size(); ++i) {
        digest[i] = canonical.digest[i];
    }
    return digest;
}

}  // namespace

Digest128 digest128(std::span<const std::byte> bytes) noexcept {
    return canonical_of(XXH3_128bits(bytes.data(), bytes.size()));
}

void RunningDigest128::Free::operator()(XXH3_state_s* state) const noexcept {
    (void)XXH3_freeState(state);  // It says XXH_OK and nothing else.
}

RunningDigest128::RunningDigest128() : state_(XXH3_createState()) {
    if (state_ == nullptr || XXH3_128bits_reset(state_.get()) != XXH_OK) {
        throw std::bad_alloc();
    }
}

void RunningDigest128::add(std::span<const std::byte> bytes) noexcept {
    // It fails only without a state or without bytes.
    (void)XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

Digest128 RunningDigest128::digest() const noexcept { return canonical_of(XXH3_128bits_digest(state_.get())); }

std::uint64_t checksum64(std::span<const std::byte> bytes) noexcept { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace runledger

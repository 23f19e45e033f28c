#include "nginx-module/token/token.hpp"

// SHA256() of OpenSSL 3 looks its algorithm up by name, under locks, and allocates three times: more than the digest
// itself takes. What it calls deprecated does neither.
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <stdexcept>

namespace runledger::edge {

TokenDigest digest_token(std::string_view token) {
    TokenDigest digest;
    SHA256_CTX context;
    const bool is_digested = SHA256_Init(&context) == 1 && SHA256_Update(&context, token.data(), token.size()) == 1 &&
                             SHA256_Final(digest.data(), &context) == 1;
    OPENSSL_cleanse(&context, sizeof context);  // It has the token's last bytes.
    if (!is_digested) {
        throw std::runtime_error("SHA-256 is not available");
    }
    return digest;
}

std::size_t TokenSet::position(const TokenDigest& wanted) const noexcept {
    std::size_t position = size();
    for (std::size_t i = 0; i < size(); ++i) {  // No early end and no branch: see find().
        const auto differs = static_cast<std::size_t>(CRYPTO_memcmp(digests_[i].data(), wanted.data(), wanted.size()));
        const std::size_t is_same = 1 - ((differs | (0 - differs)) >> (8 * sizeof differs - 1));
        position ^= (position ^ i) & (0 - is_same);
    }
    return position;
}

std::optional<std::size_t> TokenSet::add(std::string_view name, std::string_view token) {
    const auto same_name = std::ranges::find(names_, name);
    if (same_name != names_.end()) {
        return static_cast<std::size_t>(same_name - names_.begin());
    }
    const TokenDigest added = digest_token(token);
    if (const std::size_t same_token = position(added); same_token != size()) {
        return same_token;
    }
    digests_.push_back(added);
    names_.emplace_back(name);
    return std::nullopt;
}

std::optional<std::string_view> TokenSet::find(std::string_view presented) const {
    return find(digest_token(presented));
}

std::optional<std::string_view> TokenSet::find(const TokenDigest& presented) const noexcept {
    const std::size_t found = position(presented);
    return found == size() ? std::nullopt : std::optional<std::string_view>{names_[found]};
}

}  // namespace runledger::edge

// The named tokens that let a webhook in, as digests: the secrets themselves are not kept.
//
// Plain C++, no nginx. Filled while the configuration is read, immutable afterwards; then any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runledger::edge {

inline constexpr std::size_t tokens_max = 64;

// A digest: it can be compared, and nothing else.
using TokenDigest = std::array<std::uint8_t, 32>;

// Throws std::runtime_error if OpenSSL can't digest.
[[nodiscard]] TokenDigest digest_token(std::string_view token);

class TokenSet {
public:
    // Adds the token and returns nothing. If the set has the same token or name already, adds nothing and returns that
    // one's position: with two names for one token, a rotation could not be followed.
    // Precondition: size() < tokens_max. Throws std::runtime_error if OpenSSL can't digest.
    [[nodiscard]] std::optional<std::size_t> add(std::string_view name, std::string_view token);

    // The name of the token that was presented, or nothing. Compares with every token, so that the time reveals neither
    // whether one matched nor which. The name lives as long as the set. Throws as add() does.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view presented) const;
    [[nodiscard]] std::optional<std::string_view> find(const TokenDigest& presented) const noexcept;

    // In the order of the file.
    [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }
    [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }

private:
    // The position of the digest, or size().
    [[nodiscard]] std::size_t position(const TokenDigest& wanted) const noexcept;

    std::vector<std::string> names_;
    std::vector<TokenDigest> digests_;  // Of the token of the same position.
};

}  // namespace runledger::edge

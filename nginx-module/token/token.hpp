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

// What is kept of a token: says whether another is the same, and nothing else.
using TokenDigest = std::array<std::uint8_t, 32>;

// Throws std::runtime_error if OpenSSL can't digest.
[[nodiscard]] TokenDigest digest_token(std::string_view token);

class TokenSet {
public:
    // Two names for one token would make its rotation a matter of luck: a token is in the set once. Returns the
    // position of the token that is the same or has the same name, and adds nothing; or nothing, and has added it.
    // Precondition: size() < tokens_max. Throws std::runtime_error if OpenSSL can't digest.
    [[nodiscard]] std::optional<std::size_t> add(std::string_view name, std::string_view token);

    // The name of the token that was presented, or nothing. Looks at every token, so that the time says neither
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

// Signs webhooks by Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks): HMAC-SHA256 over
// "id.timestamp.body", by each secret. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/base/secret.hpp"

namespace runledger::webhooks {

// The specification asks for 24 to 64 random bytes.
inline constexpr std::size_t secret_bytes_min = 24;
inline constexpr std::size_t secret_bytes_max = 64;
inline constexpr std::size_t secrets_max = 8;  // Each makes the header longer.

struct SecretFault {
    std::string what;  // A clause that names the line and no secret: "line 2 …".
};
// The keys of a file of secrets: one on each line, "whsec_" and base64; empty lines and those that begin with # are
// passed over.
[[nodiscard]] std::variant<std::vector<Secret>, SecretFault> parse_secrets(std::string_view text);

struct SignedContent {
    std::string_view id;
    std::int64_t timestamp{};  // Unix seconds.
    std::string_view body;
};
// The value of webhook-signature: "v1,<base64>" for each key, with blanks between.
[[nodiscard]] std::string signature_of(const SignedContent& content, std::span<const Secret> keys);

}  // namespace runledger::webhooks

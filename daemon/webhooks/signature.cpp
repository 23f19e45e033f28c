#include "daemon/webhooks/signature.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>

namespace runledger::webhooks {
namespace {

constexpr std::string_view prefix = "whsec_";

std::string to_base64(std::span<const unsigned char> bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a zero byte.
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),  // Its own types.
                                       static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(length));
    return text;
}

// Standard base64, with its "=" or without, of as many bytes as a secret has.
std::optional<Secret> find_key(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (text.ends_with('=')) {
        text.remove_suffix(1);
    }
    const std::size_t length = text.size() * 3 / 4;
    if (text.find_first_not_of(digits) != std::string_view::npos || text.size() % 4 == 1 || length < secret_bytes_min ||
        length > secret_bytes_max) {
        return std::nullopt;
    }
    const std::size_t padding = (4 - text.size() % 4) % 4;
    const std::string padded = std::string(text) + std::string(padding, '=');
    std::string bytes(padded.size(), '\0');
    const int decoded =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),  // Its own types.
                        reinterpret_cast<const unsigned char*>(padded.data()), static_cast<int>(padded.size()));
    if (decoded < 0) {
        return std::nullopt;
    }
    bytes.resize(static_cast<std::size_t>(decoded) - padding);  // OpenSSL counts the padding's zero bytes.
    return Secret(std::move(bytes));
}

std::string_view trimmed(std::string_view line) {
    constexpr std::string_view blanks = " \t\r";
    const std::size_t first = line.find_first_not_of(blanks);
    return first == std::string_view::npos ? std::string_view{}
                                           : line.substr(first, line.find_last_not_of(blanks) - first + 1);
}

}  // namespace

std::variant<std::vector<Secret>, SecretFault> parse_secrets(std::string_view text) {
    std::vector<Secret> keys;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = text.find('\n');
        const std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.empty() || line.front() == '#') {
            continue;
        }
        if (!line.starts_with(prefix)) {
            return SecretFault{fmt::format("line {} does not begin with {}", number, prefix)};
        }
        auto key = find_key(line.substr(prefix.size()));
        if (!key) {
            return SecretFault{fmt::format("line {} is not {} and the base64 of {} to {} bytes", number, prefix,
                                           secret_bytes_min, secret_bytes_max)};
        }
        if (std::ranges::find(keys, *key) != keys.end()) {
            return SecretFault{fmt::format("line {} repeats a secret", number)};
        }
        keys.push_back(std::move(*key));
    }
    if (keys.empty() || keys.size() > secrets_max) {
        return SecretFault{fmt::format("the file holds {} secrets, not 1 to {}", keys.size(), secrets_max)};
    }
    return keys;
}

std::string signature_of(const SignedContent& content, std::span<const Secret> keys) {
    const std::string signed_text = fmt::format("{}.{}.{}", content.id, content.timestamp, content.body);
    std::string header;
    for (const Secret& key : keys) {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned int length = 0;
        if (HMAC(EVP_sha256(), key.reveal().data(), static_cast<int>(key.reveal().size()),
                 reinterpret_cast<const unsigned char*>(signed_text.data()), signed_text.size(),  // Its own types.
                 digest.data(), &length) == nullptr) {
            throw std::runtime_error("OpenSSL makes no HMAC-SHA256");
        }
        header += header.empty() ? "v1," : " v1,";
        header += to_base64(std::span(digest).first(length));
    }
    return header;
}

}  // namespace runledger::webhooks

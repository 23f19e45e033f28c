// The token file that runledger_token names, read while nginx reads its configuration.
//
// Plain C++, no nginx. docs/settings.md has the format. A fault is a sentence that names the line and never quotes a
// token or a name: if the words of a line are swapped, the name is the token.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "nginx-module/token/token.hpp"

namespace runledger::edge {

inline constexpr std::size_t token_file_bytes_max = 64UL * 1024;
inline constexpr std::size_t token_name_bytes_max = 64;
inline constexpr std::size_t token_bytes_max = 512;
inline constexpr std::size_t token_bytes_weak = 16;  // Shorter ones can be guessed.

struct TokenFile {
    TokenSet tokens;
    std::optional<std::size_t> weak_line;  // The first whose token has fewer than token_bytes_weak characters.
};

// Why a token file can't be used.
struct TokenFileFault {
    std::string sentence;
};

// `text` is the content of a token file: one "name token" a line; blank lines and lines that begin with # are skipped.
// A file without a token is a fault, because it would refuse everybody.
[[nodiscard]] std::variant<TokenFile, TokenFileFault> parse_token_file(std::string_view text);

// Reads and parses a regular file that only its owner and group may read or write; the bytes that were read are
// wiped. Never waits: a FIFO or a device is a fault.
[[nodiscard]] std::variant<TokenFile, TokenFileFault> read_token_file(const std::string& path);

}  // namespace runledger::edge

// The tokens that a webhook's URL may carry, as digests: the secrets themselves are not kept.
//
// Plain C++, no nginx. Immutable once read; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace runledger::edge {

class TokenSet {
public:
    // Why a token file can't be used: a sentence that names the line and never the token.
    struct Fault {
        std::string sentence;
    };

    // `text` is a token file's: one token a line, alone or after a name ("name token"); blank lines and lines that
    // begin with # are skipped. A file without any token is at fault: it would let nobody in.
    [[nodiscard]] static std::variant<TokenSet, Fault> parse(std::string_view text);

    // Reads and parses a file of at most 64 KiB; the bytes that were read are wiped.
    [[nodiscard]] static std::variant<TokenSet, Fault> read_file(const std::string& path);

    // Takes as long whichever token matches, or none. Throws std::runtime_error if OpenSSL can't digest.
    [[nodiscard]] bool contains(std::string_view presented) const;

    // The first line whose token is short enough to be guessed, if any.
    [[nodiscard]] std::optional<std::size_t> find_weak_line() const noexcept { return weak_line_; }

private:
    using Digest = std::array<std::uint8_t, 32>;

    [[nodiscard]] static Digest digest(std::string_view token);

    std::vector<Digest> digests_;
    std::optional<std::size_t> weak_line_;
};

}  // namespace runledger::edge

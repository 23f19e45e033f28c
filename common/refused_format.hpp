// The file of a refused body that is kept for a second try, as pure functions: docs/refused-format.md describes it, a
// test pins an example.
//
// The edge writes one file for each refused request; the operator's tool reads it. A file is a few lines of text, an
// empty line, and the body, byte for byte. Reading trusts nothing. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/clock.hpp"
#include "common/identity.hpp"
#include "common/limits.hpp"

namespace runledger {

inline constexpr std::uint32_t refused_version = 1;
inline constexpr std::string_view refused_suffix = ".refused";
// A file that is still being written: its name without the dot and this is the name that it gets.
inline constexpr std::string_view refused_half_suffix = ".half";
inline constexpr std::size_t refused_text_bytes_max = 256;     // Of one value in the header; a longer one is cut.
inline constexpr std::size_t refused_header_bytes_max = 4096;  // Of everything before the body.
inline constexpr std::size_t refused_file_bytes_max = refused_header_bytes_max + body_bytes_max;

enum class RefusedFor : std::uint8_t {
    token,  // 401: the token is missing or wrong. The body was not looked at.
    json,   // 400: the body holds no event.
};

// "token", "json".
[[nodiscard]] std::string_view to_word(RefusedFor reason) noexcept;

// The names of the files sort by the time of receipt.
struct RefusedName {
    WallTime received_at{};
    std::uint32_t sender{};  // A digest of the address, so that one sender's share can be counted without reading.
    std::uint64_t random{};

    friend bool operator==(const RefusedName&, const RefusedName&) = default;
};

// "<16 decimal digits>-<8 hexadecimal digits>-<16 hexadecimal digits>.refused"
[[nodiscard]] std::string refused_file_name(const RefusedName& name);
// Nothing for any other name.
[[nodiscard]] std::optional<RefusedName> parse_refused_file_name(std::string_view name);

// What is kept of a refused request. No text holds a secret: of a wrong token there is only a digest.
struct RefusedBody {
    Stamp stamp;  // As an accepted event is stamped.
    BootId boot;
    std::uint32_t flags{};  // wire::EventFlag
    RefusedFor reason{};
    std::string fault;         // A word of EventFault; empty unless the reason is json.
    std::string token_digest;  // The first 16 hexadecimal digits of SHA-256; empty if no token came, or a right one.
    std::string token_name;    // Of the right token; empty if it was wrong or none was asked for.
    std::string location;      // As the configuration names it.
    std::string address;       // The client's.
    std::string edge_name;
    std::string content_type;  // The request's header, as are the next.
    std::string user_agent;
    std::string body;
};

// The file's bytes. Control characters in texts become '_'. Precondition: the body has at most body_bytes_max bytes.
[[nodiscard]] std::string encode_refused(const RefusedBody& refused);

enum class RefusedFault : std::uint8_t {
    damaged,          // Cut off, or changed: a power loss may do so, because files are not synced.
    unknown_version,  // Ours, of a version that this build can't read.
};

[[nodiscard]] std::string_view to_word(RefusedFault fault) noexcept;

[[nodiscard]] std::variant<RefusedBody, RefusedFault> decode_refused(std::string_view file);

}  // namespace runledger

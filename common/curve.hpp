// The text of CURVE's keys and key files, and which endpoints need them. docs/settings.md describes the files.
//
// A file holds one key a line, after a name ("studio 0123…") or alone; blank lines and lines that begin with # are
// skipped. A key is 40 characters of Z85 (rfc.zeromq.org/spec/32), which has # among its characters: a line that is a
// key and nothing else is one, whatever it begins with. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace runledger {

inline constexpr std::size_t curve_key_characters = 40;
inline constexpr std::size_t curve_file_bytes_max = 64UL * 1024;

struct NamedKey {
    std::string name;  // May be empty.
    std::string key;
};

// A sentence that names the line and never quotes it.
struct KeyFault {
    std::string sentence;
};

[[nodiscard]] bool is_curve_key(std::string_view text) noexcept;

// At least one key; no name and no key twice.
[[nodiscard]] std::variant<std::vector<NamedKey>, KeyFault> parse_curve_keys(std::string_view text);

// Whether traffic of the endpoint may cross a network: tcp:// with any host but a loopback address or "localhost".
[[nodiscard]] bool leaves_the_host(std::string_view endpoint) noexcept;

}  // namespace runledger

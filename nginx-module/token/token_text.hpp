// Where in a text is a token? Overwrites it there with asterisks, so that no log shows it.
//
// Plain C++, no nginx, pure but for the bytes that are given to it. Linear in the text, whatever a client has put
// into it. A text never changes its length: nginx has pointers into it.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace runledger::edge {

// The bytes of a string of nginx's that may be written to.
using Writable = std::span<char>;

// As nginx reads a URI: %41 is A; what is no escape stays as it is.
[[nodiscard]] std::string unescape(std::string_view text);

[[nodiscard]] bool is_masked(std::string_view text) noexcept;  // Asterisks and nothing else; not where it is empty.
void mask(Writable text) noexcept;

// The values of all arguments of this name in a URI or a query: as nginx finds them, so in any case of letters, and
// also where the name is escaped, which nginx does not find.
void mask_argument(Writable uri, std::string_view name);

// The values of all cookies of this name in a Cookie header, as nginx finds them.
void mask_cookie(Writable header, std::string_view name) noexcept;

// Where `value` stands in the text, however it is escaped there: anywhere, or only where no letter, digit, '_', '-',
// '.', '~' or '%' adjoins it. Returns whether it does.
enum class Bounds : unsigned char { anywhere, whole_word };
bool mask_value(Writable text, std::string_view value, Bounds bounds);

}  // namespace runledger::edge

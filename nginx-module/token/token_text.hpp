// Finds a token in a text and overwrites it with asterisks, so that no log shows it.
//
// Plain C++, no nginx; changes only the bytes that it is given. Linear in the text, whatever a client has put into it.
// A text never changes its length, because nginx has pointers into it.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace runledger::edge {

// The bytes of a string of nginx's that may be written to.
using Writable = std::span<char>;

// As nginx reads a URI: %41 is A; anything that is not an escape stays unchanged.
[[nodiscard]] std::string unescape(std::string_view text);

[[nodiscard]] bool is_masked(std::string_view text) noexcept;  // Asterisks and nothing else; not where it is empty.
void mask(Writable text) noexcept;

// The values of all arguments of this name in a URI or a query. Like nginx it ignores the case of letters; unlike nginx
// it also finds escaped names.
void mask_argument(Writable uri, std::string_view name);

// The values of all cookies of this name in a Cookie header, as nginx finds them.
void mask_cookie(Writable header, std::string_view name) noexcept;

// Every place of `value` in the text, however it is escaped: anywhere, or only if no letter, digit, '_', '-', '.', '~'
// or '%' adjoins it. Returns whether there is one.
enum class Bounds : unsigned char { anywhere, whole_word };
bool mask_value(Writable text, std::string_view value, Bounds bounds);

}  // namespace runledger::edge

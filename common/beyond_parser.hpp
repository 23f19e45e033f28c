// What the sender can write and RapidJSON can't read, and what is done about it: such bodies are accepted.
//
// The sender's JSON comes from Python, whose integers have no bound and whose strings may hold half a surrogate pair.
// RapidJSON refuses a number that no double holds (1e400, 400 digits) and the escape of a lone high surrogate, although
// JSON allows both. A refused body is a lost event, so what the reader can't hold is masked and the rest is read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace runledger {

// Whether reading this body as it is could overflow an int inside RapidJSON. It counts a negative exponent down by
// each digit of the fraction: `0.000000000000e-2147483639` makes that undefined. Such a body is masked before it is
// read. True also for some bodies that hold those digits in a string, where they do no harm.
[[nodiscard]] bool may_overflow_reader(std::string_view body);

// A copy of the same length in which a lone surrogate's escape is replaced by U+FFFD's, and a number that may be beyond
// a double by `null` and blanks. Offsets stay true, so that spans found in the copy hold in the body. All else stays,
// faults included.
[[nodiscard]] std::string mask_beyond_parser(std::string_view body);

// A string as the reader decoded it, as valid UTF-8. The reader takes a lone low surrogate's escape and makes three
// bytes of it that are not UTF-8 (ED A0..BF xx); they become U+FFFD. The reader has checked the raw bytes, so nothing
// else can be wrong.
[[nodiscard]] std::string to_utf8(const char* decoded, std::size_t length);

}  // namespace runledger

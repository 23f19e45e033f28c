// JSON as Python's json.dumps writes it with its defaults: ", " and ": ", everything beyond ASCII escaped, floats in
// their shortest form, NaN as NaN. Written by hand because no JSON library writes what the sender writes; nothing here
// reads JSON. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace runledger::test {

// repr() of a float: "0.0", "0.71", "1e-09", "1e+16", "NaN", "-Infinity".
[[nodiscard]] std::string python_float(double value);

// A string with its quotes. The input is UTF-8; bytes that are none become U+FFFD.
[[nodiscard]] std::string python_string(std::string_view utf8);

// Values are JSON already.
[[nodiscard]] std::string python_object(const std::vector<std::pair<std::string, std::string>>& members);
[[nodiscard]] std::string python_array(const std::vector<std::string>& values);

}  // namespace runledger::test

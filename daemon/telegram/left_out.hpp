// What of a record's wishes for its message can't be fulfilled, as text for last_error: half sentences, "; " between.
#pragma once

#include <cstddef>
#include <string>

namespace runledger::telegram {

inline constexpr std::size_t left_out_bytes_max = 2000;

// Nothing is added to what is full: the first faults are enough to mend.
inline void add_left_out(std::string& left_out, const std::string& what) {
    if (!what.empty() && left_out.size() + what.size() < left_out_bytes_max) {
        left_out += (left_out.empty() ? "" : "; ") + what;
    }
}

}  // namespace runledger::telegram

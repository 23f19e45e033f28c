// How `runledger` ends: one table, which the help, the manual pages and docs/tool.md show. A test compares them, and
// another one causes each code.
#pragma once

#include <array>
#include <stdexcept>
#include <string_view>

namespace runledger::tool {

inline constexpr int exit_yes = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_misused = 2;
inline constexpr int exit_no = 3;

struct ExitCode {
    int code;
    std::string_view meaning;
};

inline constexpr std::array<ExitCode, 4> exit_codes{{
    {exit_yes, "done; the answer to a question is yes"},
    {exit_failed, "failed, or stopped half way; standard error says why"},
    {exit_misused, "the command line is wrong; nothing was done"},
    {exit_no, "the answer is no, a part was left undone, or nothing of that name exists"},
}};

// Words that parse and do not fit together: main says what() and ends with exit_misused.
class Misused : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Nothing of the name that was given: main says what() and ends with exit_no.
class NotThere : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace runledger::tool

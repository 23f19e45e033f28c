// What `runledger check` has found: one line that says what is wrong, and one that says what to do.
//
// Values and their printing; nothing here looks at anything.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace runledger::tool {

enum class Grade : std::uint8_t {
    passed,
    warning,  // It works, and something is likely to go wrong later.
    failed,   // It does not work.
    unknown,  // It can't be checked from here: a right is missing, or an earlier check failed.
};

// A stable word, for JSON.
[[nodiscard]] std::string_view to_word(Grade grade) noexcept;

struct Finding {
    std::string subject;  // A stable word: "database".
    Grade grade{};
    std::string what;   // What was found; never a secret. One line.
    std::string to_do;  // Empty if nothing is to be done. One line.
};

class Findings {
public:
    void passed(std::string_view subject, std::string what);
    void warn(std::string_view subject, std::string what, std::string to_do);
    void fail(std::string_view subject, std::string what, std::string to_do);
    void unknown(std::string_view subject, std::string what, std::string to_do);

    [[nodiscard]] const std::vector<Finding>& all() const noexcept { return all_; }
    [[nodiscard]] std::size_t count(Grade grade) const noexcept;
    [[nodiscard]] bool has_failed(std::string_view subject) const noexcept;

private:
    void add(std::string_view subject, Grade grade, std::string what, std::string to_do);
    std::vector<Finding> all_;
};

// A tick or a mark and the line, then the line that says what to do; last, a summary. `with_ticks`: in UTF-8.
void print_text(const Findings& findings, bool with_ticks, std::FILE* out);
// {"ok":…,"failed":…,"warnings":…,"unknown":…,"findings":[{"check":…,"result":…,"found":…,"to_do":…}…]}, one line.
// `url`: also "url"; empty: not.
void print_json(const Findings& findings, std::string_view url, std::FILE* out);

}  // namespace runledger::tool

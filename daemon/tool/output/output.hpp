// Where a command of the tool writes: results to standard output, everything else to standard error, both as text or
// both as JSON; and a progress bar, if standard error is a terminal.
//
// Invariant: with --json, standard output has one JSON object on each line and nothing else, and so has standard error.
// One thread.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "daemon/base/obeyed_characters.hpp"
#include "daemon/tool/output/json_object.hpp"

namespace runledger::tool {

// Lines of the tool's own making, for Output::print(): they stay lines, and what a terminal would obey does not get in.
struct Lines {
    std::string text;
};

class Output {
public:
    // The streams outlive it. A bar is drawn only if `remarks` is a terminal.
    Output(std::FILE* results, std::FILE* remarks);
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    ~Output();

    // What --json sets.
    bool as_json{false};

    // A part of the result as text; the caller asks for as_json before. Texts among the arguments are shown as
    // one_line(), whoever wrote them: a line of the result is only what `format` makes one, or a Lines.
    template <class... Args>
    void print(fmt::format_string<Args...> format, Args&&... args) {
        write(fmt::format(fmt::runtime(fmt::string_view(format)), shown(args)...));
    }
    // Bytes as they are.
    void write(std::string_view bytes);
    // One object of the result, on a line of its own; it is empty afterwards.
    void print(JsonObject& object);
    void print(JsonObject&& object) { print(object); }
    // The same, of an object as text. What a terminal would obey is escaped; the object's value does not change.
    void print_json(std::string_view object);

    // A sentence that is no result and no failure: {"warning": …} in JSON. Both are printed without_context().
    void warn(std::string_view sentence);
    // Why the command ends with this code: {"error": …, "exit_code": …, "sqlstate": …, "hint": …} in JSON.
    struct Failure {
        std::string_view sentence;
        int exit_code;
        std::string_view sqlstate{};  // Empty: PostgreSQL did not refuse.
        std::string_view hint{};      // Empty: none.
    };
    void fail(const Failure& failure);

    // Long work has come this far: "replaying events 1200 of 5000 [#####      ]". Drawn at most ten times a second, and
    // removed before anything is printed. `total` 0: unknown, so that only the count is shown. Does nothing unless
    // standard error is a terminal, and nothing in JSON.
    void show_progress(std::string_view doing, std::uint64_t done, std::uint64_t total);

    // Hands over what was printed. False: standard output can't be written, so results are missing.
    [[nodiscard]] bool flush();

private:
    template <class Value>
    [[nodiscard]] static auto shown(const Value& value) {
        if constexpr (std::is_same_v<Value, Lines>) {
            return without_controls(value.text);
        } else if constexpr (std::is_convertible_v<const Value&, std::string_view>) {
            return one_line(value);
        } else {
            return value;
        }
    }
    void remove_bar();

    std::FILE* results_;
    std::FILE* remarks_;
    bool has_terminal_;
    bool is_bar_drawn_{false};
    std::chrono::steady_clock::time_point drawn_at_;
};

// PostgreSQL's message without what is for the author of a function: the lines from QUERY or CONTEXT on, which say
// where in it the error was raised. DETAIL and HINT stay.
[[nodiscard]] std::string_view without_context(std::string_view sentence) noexcept;

}  // namespace runledger::tool

// As a text: Output::print() hands it over as one.
template <>
struct fmt::formatter<runledger::tool::Lines> : fmt::formatter<std::string_view> {
    template <class Context>
    auto format(const runledger::tool::Lines& lines, Context& context) const {
        return fmt::formatter<std::string_view>::format(lines.text, context);
    }
};

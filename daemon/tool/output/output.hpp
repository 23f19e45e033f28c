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
#include <utility>

#include "daemon/tool/output/json_object.hpp"

namespace runledger::tool {

class Output {
public:
    // The streams outlive it. A bar is drawn only if `remarks` is a terminal.
    Output(std::FILE* results, std::FILE* remarks);
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    ~Output();

    // What --json sets.
    bool as_json{false};

    // A part of the result as text; the caller asks for as_json before.
    template <class... Args>
    void print(fmt::format_string<Args...> format, Args&&... args) {
        remove_bar();
        fmt::print(results_, format, std::forward<Args>(args)...);
    }
    // Bytes as they are.
    void write(std::string_view bytes);
    // One object of the result, on a line of its own; it is empty afterwards.
    void print(JsonObject& object);
    void print(JsonObject&& object) { print(object); }

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

// One line, whatever a sender has put into it: control characters become blanks. Cut after `bytes_max`.
[[nodiscard]] std::string one_line(std::string_view text, std::size_t bytes_max = std::string_view::npos);

}  // namespace runledger::tool

#include "daemon/tool/output/output.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace runledger::tool {
namespace {

constexpr std::chrono::milliseconds drawn_again_after{100};
constexpr std::uint64_t bar_width = 30;

// Whether lines can be drawn over: TERM=dumb can't.
bool can_draw_on(std::FILE* stream) {
    const char* kind = std::getenv("TERM");  // NOLINT(concurrency-mt-unsafe): one thread.
    return ::isatty(::fileno(stream)) == 1 && (kind == nullptr || std::string_view(kind) != "dumb");
}

// JSON of the same value. What is obeyed can only stand in its strings; the writer has escaped C0.
std::string escaped(std::string_view json) {
    return replace_obeyed(json, [](const Character& character, std::string_view bytes) {
        return character.is_utf8 ? fmt::format("\\u{:04x}", static_cast<std::uint32_t>(character.code))
                                 : std::string(bytes);
    });
}

}  // namespace

Output::Output(std::FILE* results, std::FILE* remarks)
    : results_(results), remarks_(remarks), has_terminal_(can_draw_on(remarks)) {}

Output::~Output() { remove_bar(); }

void Output::write(std::string_view bytes) {
    remove_bar();
    // flush() asks whether something is missing.
    static_cast<void>(std::fwrite(bytes.data(), 1, bytes.size(), results_));
}

void Output::print(JsonObject& object) { print_json(object.take()); }

void Output::print_json(std::string_view object) { write(escaped(object) + "\n"); }

void Output::warn(std::string_view sentence) {
    sentence = without_context(sentence);
    remove_bar();
    if (as_json) {
        fmt::print(remarks_, "{}\n", escaped(JsonObject().add("warning", sentence).take()));
    } else {
        fmt::print(remarks_, "runledger: {}\n", without_controls(sentence));
    }
}

void Output::fail(const Failure& failure) {
    const std::string_view sentence = without_context(failure.sentence);
    // What was printed before comes first. That it can't be written is no news: the command has failed.
    static_cast<void>(flush());
    if (!as_json) {
        fmt::print(remarks_, "runledger: {}\n", without_controls(sentence));
        if (!failure.hint.empty()) {
            fmt::print(remarks_, "{}\n", without_controls(failure.hint));
        }
        return;
    }
    JsonObject object;
    object.add("error", sentence).add("exit_code", failure.exit_code);
    object.add("sqlstate", failure.sqlstate.empty() ? std::nullopt : std::optional(failure.sqlstate));
    object.add("hint", failure.hint.empty() ? std::nullopt : std::optional(failure.hint));
    fmt::print(remarks_, "{}\n", escaped(object.take()));
}

void Output::show_progress(std::string_view doing, std::uint64_t done, std::uint64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (!has_terminal_ || as_json || (is_bar_drawn_ && now - drawn_at_ < drawn_again_after)) {
        return;
    }
    drawn_at_ = now;
    is_bar_drawn_ = true;
    if (total == 0) {
        fmt::print(remarks_, "\r\x1b[K{} {}", doing, done);
    } else {
        const std::uint64_t filled = std::min(done, total) * bar_width / total;
        fmt::print(remarks_, "\r\x1b[K{} {} of {} [{:<{}}]", doing, done, total, std::string(filled, '#'), bar_width);
    }
    static_cast<void>(std::fflush(remarks_));  // A bar that can't be drawn is no failure.
}

bool Output::flush() {
    remove_bar();
    return std::fflush(results_) == 0 && std::ferror(results_) == 0;
}

void Output::remove_bar() {
    if (is_bar_drawn_) {
        is_bar_drawn_ = false;
        fmt::print(remarks_, "\r\x1b[K");
        static_cast<void>(std::fflush(remarks_));  // As above.
    }
}

std::string_view without_context(std::string_view sentence) noexcept {
    for (const std::string_view label : {"\nQUERY:  ", "\nCONTEXT:  "}) {
        sentence = sentence.substr(0, sentence.find(label));
    }
    while (sentence.ends_with('\n')) {
        sentence.remove_suffix(1);
    }
    return sentence;
}

}  // namespace runledger::tool

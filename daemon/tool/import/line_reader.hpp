// Lines of a file that may still grow, or of a pipe; each with its number and the place behind it.
//
// A line is complete when its newline is there. What follows the last newline is the rest, which is no line yet. One
// thread. The file belongs to the caller.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runledger::tool {

struct Line {
    std::int64_t number;
    std::string_view text;  // Without its end; valid until the next call of the reader.
    bool is_too_long;       // Then the text is empty, and the line passed by.
};

class LineReader {
public:
    // `position`: where in the input the next byte is from; `line_count`: how many lines were before it.
    LineReader(int file, std::int64_t position, std::int64_t line_count)
        : file_(file), position_(position), line_count_(line_count) {}

    // The next complete line of what was read; none: read more.
    [[nodiscard]] std::optional<Line> take();

    // Reads what there is, at most a chunk. False: there is no more now. Throws std::system_error.
    [[nodiscard]] bool read();

    // What is behind the last complete line.
    [[nodiscard]] std::string_view rest() const { return std::string_view(buffer_).substr(taken_); }
    [[nodiscard]] std::int64_t rest_position() const { return position_ + skipped_; }
    // The rest is a line, for nothing will come.
    [[nodiscard]] Line take_rest();

    // Behind the last line that was taken.
    [[nodiscard]] std::int64_t position() const { return position_; }
    [[nodiscard]] std::int64_t line_count() const { return line_count_; }

private:
    int file_;
    std::int64_t position_;
    std::int64_t line_count_;
    std::string buffer_;
    std::size_t taken_{0};     // Of the buffer.
    std::size_t searched_{0};  // No newline is between taken_ and here.
    std::int64_t skipped_{0};  // Bytes of a line that is too long, which are gone.
};

// A document of MongoDB's has at most 16 MiB, and its text at most a few times as much.
inline constexpr std::size_t line_bytes_max = 64U << 20U;

}  // namespace runledger::tool

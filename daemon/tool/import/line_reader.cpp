#include "daemon/tool/import/line_reader.hpp"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace runledger::tool {
namespace {

constexpr std::size_t chunk_bytes = 256U << 10U;

}  // namespace

std::optional<Line> LineReader::take() {
    const std::size_t end = buffer_.find('\n', searched_);
    if (end == std::string::npos) {
        searched_ = buffer_.size();
        return std::nullopt;
    }
    Line line{.number = ++line_count_,
              .text = std::string_view(buffer_).substr(taken_, end - taken_),
              .is_too_long = skipped_ > 0 || end - taken_ > line_bytes_max};
    if (line.is_too_long) {
        line.text = {};
    } else if (line.text.ends_with('\r')) {
        line.text.remove_suffix(1);
    }
    position_ += skipped_ + static_cast<std::int64_t>(end + 1 - taken_);
    skipped_ = 0;
    taken_ = end + 1;
    searched_ = taken_;
    return line;
}

bool LineReader::read() {
    buffer_.erase(0, taken_);
    searched_ -= taken_;
    taken_ = 0;
    if (buffer_.size() > line_bytes_max) {  // Of one line: take() has found no end in it.
        skipped_ += static_cast<std::int64_t>(buffer_.size());
        buffer_.clear();
        searched_ = 0;
    }
    const std::size_t size = buffer_.size();
    buffer_.resize(size + chunk_bytes);
    ssize_t count = 0;
    do {
        count = ::read(file_, buffer_.data() + size, chunk_bytes);
    } while (count < 0 && errno == EINTR);
    buffer_.resize(size + static_cast<std::size_t>(count < 0 ? 0 : count));
    if (count < 0) {
        throw std::system_error(errno, std::generic_category(), "the documents can't be read");
    }
    return count > 0;
}

Line LineReader::take_rest() {
    Line line{.number = ++line_count_, .text = rest(), .is_too_long = skipped_ > 0};
    position_ += skipped_ + static_cast<std::int64_t>(buffer_.size() - taken_);
    skipped_ = 0;
    taken_ = buffer_.size();
    searched_ = taken_;
    return line;
}

}  // namespace runledger::tool

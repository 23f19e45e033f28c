#include "nginx-module/spool/reader.hpp"

#include <utility>

namespace runledger::edge {
std::variant<SegmentContent, SegmentFault> open_segment(Files& files, const std::string& path) {
    const auto id = parse_segment_file_name(std::string_view(path).substr(path.rfind('/') + 1));
    if (!id) {
        return SegmentFault::bad_name;
    }
    const auto fd = files.open(path);
    if (!fd) {
        return SegmentFault::no_such_file;
    }
    return read_segment(files, fd->get(), *id);
}

SegmentReading::SegmentReading(Files& files, int fd)
    : is_too_large_(files.facts(fd).size_bytes > segment_file_bytes_max),
      bytes_(is_too_large_ ? 0 : files.facts(fd).size_bytes),
      pieces_(bytes_, [&files, fd](std::span<std::byte> part, std::uint64_t offset) {
          (void)read_fully(files, fd, part, offset);  // Short if the file was truncated meanwhile: zeros.
      }) {}

std::variant<SegmentContent, SegmentFault> SegmentReading::finish(const SegmentId& id) {
    if (is_too_large_) {
        return SegmentFault::too_large;
    }
    return SegmentContent::parse(id, std::move(bytes_), is_complete());
}

std::variant<SegmentContent, SegmentFault> read_segment(Files& files, int fd, const SegmentId& id) {
    SegmentReading reading(files, fd);
    while (reading.read_next()) {
    }
    return reading.finish(id);
}

}  // namespace runledger::edge

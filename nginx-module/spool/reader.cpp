#include "nginx-module/spool/reader.hpp"

#include <vector>

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

std::variant<SegmentContent, SegmentFault> read_segment(Files& files, int fd, const SegmentId& id) {
    const std::uint64_t size = files.facts(fd).size_bytes;
    if (size > segment_file_bytes_max) {
        return SegmentFault::too_large;
    }
    std::vector<std::byte> file(size);
    const bool is_complete = read_past_bad_blocks(file, [&](std::span<std::byte> part, std::uint64_t offset) {
        (void)read_fully(files, fd, part, offset);  // Short if the file was truncated meanwhile: zeros.
    });
    return SegmentContent::parse(id, std::move(file), is_complete);
}

}  // namespace runledger::edge

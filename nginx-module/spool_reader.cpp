#include "nginx-module/spool_reader.hpp"

#include <algorithm>
#include <system_error>

namespace runledger::edge {
namespace {

constexpr std::size_t chunk_bytes = 256UL * 1024;
constexpr std::size_t block_bytes = 4096;

// Reads what can be read of a stretch; what can't stays zero. Returns whether all of it could.
bool read_past_bad_blocks(Files& files, int fd, std::span<std::byte> bytes, std::uint64_t offset, std::size_t step) {
    bool complete = true;
    for (std::size_t done = 0; done < bytes.size(); done += step) {
        const auto part = bytes.subspan(done, std::min(step, bytes.size() - done));
        try {
            (void)read_fully(files, fd, part, offset + done);  // Short if the file was truncated meanwhile: zeros.
        } catch (const std::system_error&) {
            // One bad block must not cost the batches around it.
            std::fill(part.begin(), part.end(), std::byte{0});
            complete =
                step > block_bytes && read_past_bad_blocks(files, fd, part, offset + done, block_bytes) && complete;
        }
    }
    return complete;
}

}  // namespace

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
    const bool is_complete = read_past_bad_blocks(files, fd, file, 0, chunk_bytes);
    return SegmentContent::parse(id, std::move(file), is_complete);
}

}  // namespace runledger::edge

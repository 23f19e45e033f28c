#include "nginx-module/spool_reader.hpp"

#include <algorithm>
#include <system_error>

namespace runledger::edge {
namespace {

// Nothing we write is longer than segment_bytes; a build with another limit may have written more.
constexpr std::uint64_t file_bytes_max = 4 * std::uint64_t{segment_bytes};

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

std::string_view to_word(SegmentFault fault) noexcept {
    switch (fault) {
        case SegmentFault::no_such_file:
            return "no_such_file";
        case SegmentFault::bad_name:
            return "bad_name";
        case SegmentFault::foreign_id:
            return "foreign_id";
        case SegmentFault::unknown_version:
            return "unknown_version";
        case SegmentFault::too_large:
            return "too_large";
    }
    return "unknown";
}

std::variant<SegmentReader, SegmentFault> SegmentReader::open(Files& files, const std::string& path) {
    const auto id = parse_segment_file_name(std::string_view(path).substr(path.rfind('/') + 1));
    if (!id) {
        return SegmentFault::bad_name;
    }
    const auto fd = files.open(path);
    if (!fd) {
        return SegmentFault::no_such_file;
    }
    return read(files, fd->get(), *id);
}

std::variant<SegmentReader, SegmentFault> SegmentReader::read(Files& files, int fd, const SegmentId& id) {
    const std::uint64_t size = files.facts(fd).size_bytes;
    if (size > file_bytes_max) {
        return SegmentFault::too_large;
    }
    std::vector<std::byte> file(size);
    const bool complete = read_past_bad_blocks(files, fd, file, 0, chunk_bytes);
    auto scanned = scan_segment(file, id);
    if (std::holds_alternative<HeaderFault>(scanned)) {
        return SegmentFault::unknown_version;
    }
    auto& scan = std::get<SegmentScan>(scanned);
    if (scan.header && scan.header->id != id) {
        return SegmentFault::foreign_id;
    }
    if (!complete) {
        scan.end = ScanEnd::damaged;  // What can't be read may have been answered.
    }
    return SegmentReader(id, std::move(file), std::move(scan));
}

std::span<const std::byte> SegmentReader::frame(const RecordPlace& place) const noexcept {
    return std::span(file_).subspan(place.offset + record_header_bytes, place.frame_bytes);
}

}  // namespace runledger::edge

#include "common/segment_content.hpp"

#include <algorithm>
#include <system_error>

namespace runledger {
namespace {

constexpr std::size_t chunk_bytes = 256UL * 1024;
constexpr std::size_t block_bytes = 4096;

bool read_in_steps(std::span<std::byte> bytes, std::uint64_t offset, std::size_t step_bytes, const ReadAt& read) {
    bool is_complete = true;
    for (std::size_t done = 0; done < bytes.size(); done += step_bytes) {
        const auto part = bytes.subspan(done, std::min(step_bytes, bytes.size() - done));
        try {
            read(part, offset + done);
        } catch (const std::system_error&) {
            // One bad block: the blocks beside it may be good.
            std::fill(part.begin(), part.end(), std::byte{0});
            is_complete =
                step_bytes > block_bytes && read_in_steps(part, offset + done, block_bytes, read) && is_complete;
        }
    }
    return is_complete;
}

}  // namespace

bool read_past_bad_blocks(std::span<std::byte> file, const ReadAt& read) {
    return read_in_steps(file, 0, chunk_bytes, read);
}

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

std::variant<SegmentContent, SegmentFault> SegmentContent::parse(const SegmentId& id, std::vector<std::byte> file,
                                                                 bool is_complete) {
    if (file.size() > segment_file_bytes_max) {
        return SegmentFault::too_large;
    }
    auto scanned = scan_segment(file, id);
    if (std::holds_alternative<HeaderFault>(scanned)) {
        return SegmentFault::unknown_version;
    }
    auto& scan = std::get<SegmentScan>(scanned);
    if (scan.header && scan.header->id != id) {
        return SegmentFault::foreign_id;
    }
    if (!is_complete) {
        scan.end = ScanEnd::damaged;  // What can't be read may have been answered.
    }
    return SegmentContent(id, std::move(file), std::move(scan), is_complete);
}

std::span<const std::byte> SegmentContent::frame(const RecordPlace& place) const noexcept {
    return std::span(file_).subspan(place.offset + record_header_bytes, place.frame_bytes);
}

}  // namespace runledger

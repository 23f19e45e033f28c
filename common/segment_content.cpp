#include "common/segment_content.hpp"

namespace runledger {

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
